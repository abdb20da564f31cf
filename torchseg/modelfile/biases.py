"""Reads what a model file adds to the results of each convolution and matrix product, as stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import NodeProto

_NO_SCALE = np.empty(0, np.float64)
_ONNX_BIAS = {"Conv": 2, "ConvTranspose": 2, "Gemm": 2, "QLinearConv": 8}  # index of the bias among the inputs
_STEPS = ("Cast", "QuantizeLinear", "DequantizeLinear")  # stand between a product and the addition of its bias
_TFLITE_BIAS = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}
_TFLITE_IMAGE = {"TRANSPOSE_CONV": 2}  # index of the input among the inputs, if it is not 0
_TFLITE_NUMBER_TYPES = ("DEQUANTIZE", "QUANTIZE", "CAST")  # change how values are stored, not the values


class StoredBias(NamedTuple):
    """What is added to the results of a convolution or matrix product.

    Attributes:
        codes: `(C_out,)`, float64: the numbers as stored, less their zero point; empty if nothing is added.
        dtype: stored dtype, e.g. `int32`; empty if nothing is added.
        scale: of the codes as the file states it, one value or one per channel; empty for floats.
        product: scale of the input times scale of the weights, which integer arithmetic takes for the scale of int32
            codes; empty where the input or the weights have no scale.
    """

    codes: NDArray[np.float64]
    dtype: str
    scale: NDArray[np.float64] = _NO_SCALE
    product: NDArray[np.float64] = _NO_SCALE

    @property
    def values(self) -> NDArray[np.float64]:
        """The numbers that the codes stand for, `(C_out,)`."""
        return self.codes * self.scale if self.scale.size else self.codes


NO_BIAS = StoredBias(np.empty(0), "")


class OnnxBiasSource(NamedTuple):
    """Names of the values that say what an ONNX operator adds; empty for those that it does not have."""

    codes: str = ""
    scale: str = ""
    zero_point: str = ""
    input_scale: str = ""


def onnx_bias_sources(wanted: Sequence[NodeProto], nodes: Iterable[NodeProto]) -> list[OnnxBiasSource]:
    """Where the bias of each of the operators `wanted` is, in a graph of these `nodes`.

    It is an input of the operator, or the constant of an addition that alone reads the operator's result.
    """
    makers: dict[str, NodeProto] = {}
    readers: dict[str, list[NodeProto]] = {}
    for node in nodes:
        makers |= dict.fromkeys(node.output, node)
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return [_onnx_source(node, makers, readers) for node in wanted]


def _onnx_source(
    node: NodeProto, makers: Mapping[str, NodeProto], readers: Mapping[str, list[NodeProto]]
) -> OnnxBiasSource:
    at = _ONNX_BIAS.get(node.op_type, len(node.input))
    name = node.input[at] if at < len(node.input) and node.input[at] else _summand(node, readers)
    if node.op_type == "QLinearConv":
        return OnnxBiasSource(codes=name, input_scale=node.input[1])
    scale = zero_point = ""
    while name in makers and makers[name].op_type in ("Cast", "DequantizeLinear"):
        maker = makers[name]
        if maker.op_type == "DequantizeLinear":
            scale, zero_point = maker.input[1], maker.input[2] if len(maker.input) > 2 else ""
        name = maker.input[0]
    before = makers.get(node.input[0])
    quantized = before is not None and before.op_type == "DequantizeLinear"
    return OnnxBiasSource(name, scale, zero_point, before.input[1] if before is not None and quantized else "")


def _summand(node: NodeProto, readers: Mapping[str, list[NodeProto]]) -> str:
    """The other operand of the addition that alone reads an operator's result; empty without one."""
    steps = (*_STEPS, "Mul") if node.op_type.endswith("Integer") else _STEPS
    value = node.output[0]
    while len(following := readers.get(value, [])) == 1:
        (after,) = following
        if after.op_type == "Add":
            return next((str(name) for name in after.input if name != value), "")
        if after.op_type not in steps:
            break
        value = after.output[0]
    return ""


def onnx_bias(
    source: OnnxBiasSource, arrays: Mapping[str, NDArray[Any]], weight_scale: NDArray[np.float32]
) -> StoredBias:
    """The bias of one operator.

    Args:
        source: from `onnx_bias_sources`.
        arrays: values of the constants among its names.
        weight_scale: of the operator's weights; empty for floats.
    """
    if source.codes not in arrays:
        return NO_BIAS
    codes = arrays[source.codes]
    scale, input_scale = (arrays.get(name, _NO_SCALE) for name in (source.scale, source.input_scale))
    return _bias(codes, arrays.get(source.zero_point, _NO_SCALE), scale, _product(input_scale, weight_scale))


class TfliteGraph(NamedTuple):
    """The main graph of an opened TFLite file, as the interpreter describes it."""

    interpreter: Any
    tensors: Mapping[int, Mapping[str, Any]]  # by index
    operators: Sequence[Mapping[str, Any]]
    makers: Mapping[int, Mapping[str, Any]]  # tensor -> the operator that computes it

    def source(self, index: int) -> int:
        """The tensor that a tensor is a copy of in another number type; itself if it is none."""
        while index in self.makers and self.makers[index]["op_name"] in _TFLITE_NUMBER_TYPES:
            index = int(self.makers[index]["inputs"][0])
        return index


def tflite_bias(graph: TfliteGraph, operator: Mapping[str, Any], weight_scale: NDArray[np.float32]) -> StoredBias:
    """The bias of one operator of a TFLite file.

    Args:
        graph: that the operator is in.
        operator: as the interpreter describes it.
        weight_scale: of the operator's weights; empty for floats.
    """
    kind, inputs = operator["op_name"], [int(each) for each in operator["inputs"]]
    at = _TFLITE_BIAS[kind]
    index = inputs[at] if at < len(inputs) else -1
    index = graph.source(index if index >= 0 else _tflite_summand(int(operator["outputs"][0]), graph.operators))
    if index < 0 or index in graph.makers:
        return NO_BIAS
    codes = np.asarray(graph.interpreter.get_tensor(index))
    own, read = (graph.tensors[each]["quantization_parameters"] for each in (index, inputs[_TFLITE_IMAGE.get(kind, 0)]))
    return _bias(codes, own["zero_points"], own["scales"], _product(read["scales"], weight_scale))


def _tflite_summand(output: int, operators: Sequence[Mapping[str, Any]]) -> int:
    """The other operand of the addition that alone reads a tensor; -1 without one."""
    readers = [each for each in operators if output in each["inputs"]]
    if len(readers) != 1 or readers[0]["op_name"] != "ADD":
        return -1
    return next((int(each) for each in readers[0]["inputs"] if int(each) != output), -1)


def _bias(
    codes: NDArray[Any], zero_point: NDArray[Any], scale: NDArray[Any], product: NDArray[np.float64]
) -> StoredBias:
    counted = codes.astype(np.float64).reshape(-1)
    if np.size(zero_point) and np.issubdtype(codes.dtype, np.integer):
        counted = counted - np.asarray(zero_point, np.float64).reshape(-1)
    of_integers = product if codes.dtype == np.int32 else _NO_SCALE
    return StoredBias(counted, str(codes.dtype), np.asarray(scale, np.float64).reshape(-1), of_integers)


def _product(input_scale: NDArray[Any], weight_scale: NDArray[np.float32]) -> NDArray[np.float64]:
    if np.size(input_scale) != 1 or weight_scale.size == 0:
        return _NO_SCALE
    return np.asarray(float(np.asarray(input_scale).item()) * weight_scale.astype(np.float64)).reshape(-1)
