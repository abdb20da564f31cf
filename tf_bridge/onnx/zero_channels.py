"""Gives output channels without weights a bias that an int8 ONNX file holds exactly."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

_WEIGHTED = ("Conv", "ConvTranspose", "Gemm")
_STEPS = 2.0**20  # of the bias; its integers count to 2**31
_LEAST = 1e-30  # of a step, so that no product of two underflows


def refine_zero_channels(quantized: ModelProto, model: ModelProto) -> ModelProto:
    """Refines the steps of channels whose weights are all zero, as pruning or a batch norm with factor 0 leaves them.

    The step of a bias is the step of the input times that of the weights. For the weights of such a channel, ONNX
    Runtime's quantizer takes a step of 1, so that it rounds the bias to whole steps of the input.

    Args:
        quantized: QDQ model with one step per channel; modified.
        model: the same network in float32.

    Returns:
        `quantized`.
    """
    exact = {tensor.name: tensor for tensor in model.graph.initializer}
    stored = {tensor.name: tensor for tensor in quantized.graph.initializer}
    makers = {node.output[0]: node for node in quantized.graph.node if node.op_type == "DequantizeLinear"}
    readers = Counter(name for node in quantized.graph.node for name in node.input)
    for node in quantized.graph.node:
        if node.op_type not in _WEIGHTED or node.input[-1] not in exact or not makers.keys() >= set(node.input):
            continue
        if all(readers[name] == 1 for name in node.input[1:]):
            _refine([makers[name] for name in node.input], exact[node.input[-1]], stored)
    return quantized


def _refine(dequantized: list[NodeProto], bias: TensorProto, stored: dict[str, TensorProto]) -> None:
    """Replaces steps and biases of one layer.

    Args:
        dequantized: the operators that give the layer its image, weights and bias.
        bias: in float32.
        stored: the constants of the file, by name; modified.
    """
    from onnx import numpy_helper

    image, weights, _ = dequantized
    (codes, step), (integers, bias_step) = ([stored.get(name) for name in each.input[:2]] for each in dequantized[1:])
    if codes is None or step is None or integers is None or bias_step is None or image.input[1] not in stored:
        return
    exact, steps = (np.array(numpy_helper.to_array(each)) for each in (bias, step))
    chosen = _all_zero(numpy_helper.to_array(codes), weights) & (exact != 0)
    if not chosen.any() or steps.shape != exact.shape:
        return
    image_step = float(numpy_helper.to_array(stored[image.input[1]]))
    steps[chosen] = np.maximum(np.abs(exact[chosen]) / (_STEPS * image_step), _LEAST)
    _replace(step, steps)
    bias_steps, counts = (np.array(numpy_helper.to_array(each)) for each in (bias_step, integers))
    bias_steps[chosen] = image_step * steps[chosen]
    counts[chosen] = np.round(exact[chosen] / bias_steps[chosen])
    _replace(bias_step, bias_steps)
    _replace(integers, counts)


def _all_zero(codes: NDArray[Any], node: NodeProto) -> NDArray[np.bool_]:
    """Which output channels hold nothing but zeros, `(C_out,)`."""
    axis = next((each.i for each in node.attribute if each.name == "axis"), 1)
    return np.asarray(~codes.any(axis=tuple(each for each in range(codes.ndim) if each != axis % codes.ndim)))


def _replace(tensor: TensorProto, values: NDArray[Any]) -> None:
    from onnx import numpy_helper

    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
