"""Prepares products of matrices and softmaxes, as attention has them, for ONNX Runtime's quantizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchseg.record import plain_json

if TYPE_CHECKING:
    from onnx import ModelProto

# A softmax with smaller values stays in float, in both formats: in int8 it has 256 steps from 0 to 1, of which its
# values over many pixels do not reach 16.
SMALL_SHARE = 1 / 16


def small_softmaxes(model: ModelProto, ranges: bytes) -> list[str]:
    """Names of the softmaxes over so many values that none of them is large.

    Args:
        model: float32.
        ranges: of its tensors, in ONNX Runtime's JSON format.
    """
    measured = dict(plain_json(ranges.decode()))["data"]
    softmaxes = [node for node in model.graph.node if node.op_type == "Softmax" and node.output[0] in measured]
    highest = {node.name: float(measured[node.output[0]]["highest"]["data"][0]) for node in softmaxes}
    return [name for name, most in highest.items() if most < SMALL_SHARE]


def flatten_matrices(model: ModelProto) -> ModelProto:
    """Takes the leading sides of length 1 off constant right factors, in place; the products stay the same.

    The quantizer scales such a factor along its columns; with more than two dimensions ONNX Runtime refuses the file.

    Returns:
        The same model.
    """
    from onnx import numpy_helper

    constants = {each.name: each for each in model.graph.initializer}
    for node in model.graph.node:
        factor = constants.get(node.input[1]) if node.op_type == "MatMul" else None
        if factor is None or len(factor.dims) < 3 or any(side != 1 for side in factor.dims[:-2]):
            continue
        values = numpy_helper.to_array(factor)
        name = f"{factor.name}.matrix"
        if name not in constants:
            constants[name] = numpy_helper.from_array(values.reshape(values.shape[-2:]), name)
            model.graph.initializer.append(constants[name])
        node.input[1] = name
    return model
