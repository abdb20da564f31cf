"""Turns each batch norm that no convolution takes in into a depthwise one, before a TFLite file is quantized."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from tf_bridge.tflite.flatbuffer import TfliteEdit

_PRODUCT = "/batch_norm/mul"  # part of the name of the product, after the PyTorch layer


def join_norms(content: bytes) -> bytes:
    """Replaces each product and sum of a batch norm by a depthwise 1x1 convolution, whose values are rounded once.

    As two operations, the factors of all channels share one step of 8 bits, and so do the summands; and the product has
    a grid of its own, which is coarse where the sum removes most of it, as behind the concatenations of a DenseNet. A
    convolution has a step for each channel, and sums in 32 bits.

    Args:
        content: bytes of a float32 `.tflite` file whose tensors are named after PyTorch's layers and operators.

    Returns:
        Bytes of a file that computes the same.
    """
    edit = TfliteEdit(content)
    operations, constants = edit.operations, edit.constants()
    uses = Counter(int(place) for each in operations for place in each.inputs)
    makers = {int(each.outputs[0]): each for each in operations if _is_product(edit, each)}
    for operation in operations:
        product = next((makers[int(place)] for place in operation.inputs if int(place) in makers), None)
        if edit.kind(operation) != "ADD" or product is None or uses[int(product.outputs[0])] > 1:
            continue
        if (factor := _constant(product, constants)) is None or (summand := _constant(operation, constants)) is None:
            continue
        (features,) = (int(place) for place in product.inputs if int(place) != factor)
        channels = [int(side) for side in edit.tensor(features).shape][3:]
        if channels and channels == [constants[factor].size] == [constants[summand].size]:
            name = edit.tensor(factor).name.decode()
            kernel = np.ascontiguousarray(constants[factor].reshape(1, 1, 1, -1))
            weights = edit.add_tensor(name, kernel.shape, "FLOAT32", values=kernel)
            edit.replace((product, operation), "DEPTHWISE_CONV_2D", [features, weights, summand], **_ONE_BY_ONE)
    return edit.content({})


_ONE_BY_ONE = {"padding": 1, "strideW": 1, "strideH": 1, "depthMultiplier": 1}  # padding 1: none


def _is_product(edit: TfliteEdit, operation: Any) -> bool:
    """Whether an operation is the product of a batch norm, with no activation behind it."""
    named = _PRODUCT in edit.tensor(int(operation.outputs[0])).name.decode().split(";")[0]
    return named and edit.kind(operation) == "MUL" and not operation.builtinOptions.fusedActivationFunction


def _constant(operation: Any, constants: Any) -> int | None:
    """Index of the constant among the inputs of an operation; None if it has none."""
    return next((int(place) for place in operation.inputs if int(place) in constants), None)
