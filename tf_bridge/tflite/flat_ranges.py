"""Widens the measured range of a layer that is next to constant, so that integer kernels can compute it."""

from __future__ import annotations

from typing import Any

import numpy as np

_WEIGHTED = {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "TRANSPOSE_CONV": 1, "FULLY_CONNECTED": 1}  # place of the weights
_IMAGE = {"TRANSPOSE_CONV": 2}  # place of the image, where it is not the first input
_SUMS = ("ADD", "SUB")
# XNNPACK refuses a file in which a result's step is 256 times finer than that of what is summed up; half of that is
# kept as a margin. Nothing is lost: whatever is so small beside its summands is rounding error of theirs.
_FINEST = 1 / 128


def widen_flat_ranges(calibrated: bytes) -> bytes:
    """Gives every layer at least the range that its inputs and weights let an integer kernel resolve.

    A ReLU that never fires, or a gate that never moves, has no range. The quantizer then takes 2e-6, and no runtime
    with XNNPACK opens the file.

    Args:
        calibrated: a float32 `.tflite` file whose tensors hold the least and largest value seen.

    Returns:
        The file with the same graph and weights.
    """
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(calibrated))
    graph = model.subgraphs[0]
    for operation in graph.operators:
        kind = flatbuffer_utils.opcode_to_name(model, operation.opcodeIndex)
        target = graph.tensors[operation.outputs[0]]
        sources = [graph.tensors[index] for index in operation.inputs]
        least = _FINEST * _reach(model, kind, sources)
        if _measured(target) and _span(target) < least:
            target.quantization.max[0] = least + min(float(target.quantization.min[0]), 0.0)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _reach(model: Any, kind: str, sources: list[Any]) -> float:
    """The range that one step of every input and weight spans; 0 for operations that keep the step of their input."""
    if kind in _WEIGHTED:
        weights = model.buffers[sources[_WEIGHTED[kind]].buffer].data
        largest = np.abs(np.frombuffer(bytes(weights), np.float32)).max() if weights is not None else 0.0
        return _span(sources[_IMAGE.get(kind, 0)]) * float(largest) / 127
    if kind == "MUL":
        return _span(sources[0]) * _span(sources[1]) / 255
    return max(_span(each) for each in sources[:2]) if kind in _SUMS else 0.0


def _measured(tensor: Any) -> bool:
    quantization = tensor.quantization
    return quantization is not None and quantization.min is not None and len(quantization.min) == 1


def _span(tensor: Any) -> float:
    """Largest minus least value, zero among them; 0 for constants, which were not measured."""
    if not _measured(tensor):
        return 0.0
    return max(float(tensor.quantization.max[0]), 0.0) - min(float(tensor.quantization.min[0]), 0.0)
