"""Reads the weights back out of a TFLite file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from torchseg.modelfile.tflite_operators import open_plain
from torchseg.modelfile.weights import StoredWeight, stored_weight

# Where the kernel stands among the inputs, and its axis of output channels.
_KERNEL = {"CONV_2D": (1, 0), "DEPTHWISE_CONV_2D": (1, 3), "FULLY_CONNECTED": (1, 0), "TRANSPOSE_CONV": (1, 0)}
_NUMBER_TYPES = ("DEQUANTIZE", "QUANTIZE", "CAST")  # change how a number is stored, not which it is


def tflite_weights(path: Path) -> Iterator[StoredWeight]:
    """Kernel of every convolution and fully connected layer in the file."""
    interpreter = open_plain(path)
    tensors = {each["index"]: each for each in interpreter.get_tensor_details()}
    operators = interpreter._get_ops_details()
    makers = {int(index): each for each in operators for index in each["outputs"]}
    for each in operators:
        if each["op_name"] not in _KERNEL:
            continue
        at, axis = _KERNEL[each["op_name"]]
        index = int(each["inputs"][at])
        while index in makers and makers[index]["op_name"] in _NUMBER_TYPES:
            index = int(makers[index]["inputs"][0])
        if index not in makers:
            zero_point = np.asarray(tensors[index]["quantization_parameters"]["zero_points"])
            kernel = np.asarray(interpreter.get_tensor(index))
            yield stored_weight(tensors[index]["name"], kernel, channel_axis=axis, zero_point=zero_point)
