"""Reads the convolution and matrix weights back out of any model file, as the file stores them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from torchseg.harness.runtime import runtime_name
from torchseg.harness.tflite_operators import open_plain

if TYPE_CHECKING:
    import onnx

# Where the kernel stands among the inputs of each kind of operator that multiplies.
_ONNX_KERNEL = {
    "Conv": 1, "ConvTranspose": 1, "Gemm": 1, "MatMul": 1,
    "ConvInteger": 1, "MatMulInteger": 1, "QLinearConv": 3,
}  # fmt: skip
_TFLITE_KERNEL = {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "FULLY_CONNECTED": 1, "TRANSPOSE_CONV": 1}
_PASS_THROUGH = {
    "DequantizeLinear",
    "QuantizeLinear",
    "Cast",
    "Identity",
    "Transpose",
    "Reshape",
    "DEQUANTIZE",
}


@dataclass(frozen=True, kw_only=True)
class WeightCount:
    """What compression left in a file.

    Attributes:
        sparsity: share of stored convolution and matrix weights that stand for zero, in [0, 1]; NaN without
            weights.
        max_unique_weights: largest number of distinct values other than zero in one tensor. Quantized codes
            count as they are stored, before their scale is applied.
    """

    sparsity: float
    max_unique_weights: int


def count_weights(tensors: Iterable[NDArray[Any]]) -> WeightCount:
    """Zeros and distinct values over all tensors; biases and normalisation are not among `weights_in`."""
    zeros = total = most = 0
    for tensor in tensors:
        rest = tensor[tensor != 0]
        total += tensor.size
        zeros += tensor.size - rest.size
        most = max(most, np.unique(rest).size)
    return WeightCount(sparsity=zeros / total if total else float("nan"), max_unique_weights=most)


def weights_in(path: Path) -> Iterator[NDArray[Any]]:
    """Kernel of every convolution and matrix product in the file, one after the other.

    Integer codes have their zero point taken off, so that 0 means zero.

    Raises:
        ValueError: if the file is none of the kinds that `open_runtime` takes.
    """
    readers = {"torch": _in_checkpoint, "onnxruntime": _in_onnx, "litert": _in_tflite}
    return readers[runtime_name(path)](path)


def _in_checkpoint(path: Path) -> Iterator[NDArray[Any]]:
    from torch import nn

    from torchseg.checkpoint import load_checkpoint

    model, _ = load_checkpoint(path)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            yield module.weight.detach().float().numpy()


def _in_onnx(path: Path) -> Iterator[NDArray[Any]]:
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    stored |= {node.output[0]: node.attribute[0].t for node in graph.node if _is_constant(node)}
    makers = {name: node for node in graph.node for name in node.output}

    def array(name: str) -> NDArray[Any]:
        return np.asarray(numpy_helper.to_array(stored[name], base_dir=str(path.parent)))

    for node in graph.node:
        if node.op_type not in _ONNX_KERNEL:
            continue
        at = _ONNX_KERNEL[node.op_type]
        name, zero_point = node.input[at], _zero_point_of(node, at)
        while name not in stored and name in makers and makers[name].op_type in _PASS_THROUGH:
            maker = makers[name]
            if maker.op_type == "DequantizeLinear" and len(maker.input) > 2:
                zero_point = maker.input[2]
            name = maker.input[0]
        if name in stored:
            kernel = array(name)
            yield kernel if zero_point not in stored else _centred(kernel, array(zero_point))


def _is_constant(node: onnx.NodeProto) -> bool:
    return node.op_type == "Constant" and bool(node.attribute) and node.attribute[0].name == "value"


def _zero_point_of(node: onnx.NodeProto, at: int) -> str:
    """Name of the zero point that an integer operator takes itself; empty for the others."""
    where = {"QLinearConv": at + 2, "ConvInteger": at + 2, "MatMulInteger": at + 2}.get(node.op_type)
    return str(node.input[where]) if where is not None and len(node.input) > where else ""


def _centred(kernel: NDArray[Any], zero_point: NDArray[Any]) -> NDArray[Any]:
    if not np.any(zero_point):
        return kernel
    per_channel = zero_point.reshape(-1, *[1] * (kernel.ndim - 1)) if zero_point.size > 1 else zero_point
    return np.asarray(kernel.astype(np.int32) - per_channel.astype(np.int32))


def _in_tflite(path: Path) -> Iterator[NDArray[Any]]:
    interpreter = open_plain(path)
    tensors = {each["index"]: each for each in interpreter.get_tensor_details()}
    operators = interpreter._get_ops_details()
    makers = {int(index): each for each in operators for index in each["outputs"]}
    for each in operators:
        if each["op_name"] not in _TFLITE_KERNEL:
            continue
        index = int(each["inputs"][_TFLITE_KERNEL[each["op_name"]]])
        while index in makers and makers[index]["op_name"] in _PASS_THROUGH:
            index = int(makers[index]["inputs"][0])
        if index not in makers:
            zero_point = tensors[index]["quantization_parameters"]["zero_points"]
            yield _centred(np.asarray(interpreter.get_tensor(index)), np.asarray(zero_point[:1]))
