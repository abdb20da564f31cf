"""Reads the weights and operators of ONNX and TFLite files, as stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from torchseg.modelfile.biases import NO_BIAS, StoredBias, TfliteGraph, onnx_bias, onnx_bias_sources, tflite_bias
from torchseg.modelfile.onnx_constants import constants_of

if TYPE_CHECKING:
    from onnx import NodeProto


# Index of the kernel among the inputs of each operator that multiplies.
_ONNX_KERNEL = {
    "Conv": 1, "ConvTranspose": 1, "Gemm": 1, "MatMul": 1,
    "ConvInteger": 1, "MatMulInteger": 1, "QLinearConv": 3,
}  # fmt: skip
_ZERO_POINT = {"QLinearConv": 5, "ConvInteger": 3, "MatMulInteger": 3}
_ONNX_NUMBER_TYPES = ("DequantizeLinear", "QuantizeLinear", "Cast")  # change how values are stored, not the values
_NONE = np.empty(0, np.int32)
_NO_SCALE = np.empty(0, np.float32)

TFLITE_KERNEL = {"CONV_2D": (1, 0), "DEPTHWISE_CONV_2D": (1, 3), "FULLY_CONNECTED": (1, 0), "TRANSPOSE_CONV": (1, 0)}
"""Index of the kernel among the inputs of each operator that multiplies in TFLite, and its output channel axis."""


class StoredWeight(NamedTuple):
    """The kernel of a convolution or matrix product.

    Attributes:
        name: name in the file.
        rows: `(C_out, N)`, one row per output channel; zero points are subtracted, so that 0 represents zero.
        dtype: stored dtype, e.g. `int8`.
        scale: of the codes, one value or one per output channel; empty for floats.
        sides: shape of each row before it was flattened, in the file's own order of dimensions.
        bias: what is added to the products.
    """

    name: str
    rows: NDArray[Any]
    dtype: str
    scale: NDArray[np.float32] = _NO_SCALE
    sides: tuple[int, ...] = ()
    bias: StoredBias = NO_BIAS

    @property
    def values(self) -> NDArray[np.float32]:
        """The numbers that the rows stand for, float32 `(C_out, N)`."""
        values = self.rows.astype(np.float32)
        return values * self.scale.reshape(-1, 1) if self.scale.size else values


def stored_weight(
    name: str,
    kernel: NDArray[Any],
    *,
    channel_axis: int,
    zero_point: NDArray[Any],
    scale: NDArray[np.float32] = _NO_SCALE,
    bias: StoredBias = NO_BIAS,
) -> StoredWeight:
    """Moves output channels to the front and subtracts the zero point.

    Args:
        name: name in the file.
        kernel: stored kernel, any shape.
        channel_axis: axis of the output channels.
        zero_point: one value, or one per output channel `(C_out,)`; empty for floats.
        scale: likewise.
        bias: what is added to the products.
    """
    moved = np.moveaxis(kernel, channel_axis, 0)
    rows = moved.reshape(len(moved), -1)  # (C_out, N)
    if np.any(zero_point):
        rows = rows.astype(np.int32) - zero_point.astype(np.int32).reshape(-1, 1)
    return StoredWeight(name, rows, str(kernel.dtype), scale, moved.shape[1:], bias)


def onnx_weights(path: Path) -> Iterator[StoredWeight]:
    """The kernel of each convolution and matrix product in an ONNX file; products of two activations have none."""
    import onnx

    model = onnx.load(path)
    makers = {name: node for node in model.graph.node for name in node.output}
    wanted = [_source(node, makers) for node in model.graph.node if node.op_type in _ONNX_KERNEL]
    biases = onnx_bias_sources([node for node, *_ in wanted], model.graph.node)
    names = {each for _, *sources in wanted for each in sources if each}
    arrays = constants_of(model, names.union(*biases), makers, path.parent)
    for (node, name, zero_point, scale), bias in zip(wanted, biases, strict=True):
        if name in arrays:
            axis = _channel_axis(node, arrays[name])
            codes = {"zero_point": arrays.get(zero_point, _NONE), "scale": arrays.get(scale, _NO_SCALE)}
            added = onnx_bias(bias, arrays, codes["scale"])
            yield stored_weight(name, arrays[name], channel_axis=axis, **codes, bias=added)


def _source(node: NodeProto, makers: dict[str, NodeProto]) -> tuple[NodeProto, str, str, str]:
    """The operator, and the names of its kernel as stored, its zero point and its scale (empty if it has none)."""
    name, at = node.input[_ONNX_KERNEL[node.op_type]], _ZERO_POINT.get(node.op_type, len(node.input))
    zero_point = node.input[at] if at < len(node.input) else ""
    # The quantizer multiplies the scale in behind an integer product, and names it after the kernel.
    scale = f"{name.removesuffix('_quantized')}_scale" if node.op_type.endswith("Integer") else ""
    while name in makers and makers[name].op_type in _ONNX_NUMBER_TYPES:
        maker = makers[name]
        if maker.op_type == "DequantizeLinear":
            scale = maker.input[1]
            zero_point = maker.input[2] if len(maker.input) > 2 else zero_point
        name = maker.input[0]
    return node, name, zero_point, scale


def _channel_axis(node: NodeProto, kernel: NDArray[Any]) -> int:
    if node.op_type == "ConvTranspose":
        return 1
    if node.op_type == "Gemm":
        return 0 if any(each.name == "transB" and each.i for each in node.attribute) else 1
    return kernel.ndim - 1 if node.op_type.startswith("MatMul") else 0


def tflite_weights(path: Path) -> Iterator[StoredWeight]:
    """The kernel of each convolution and fully connected layer in a TFLite file."""
    interpreter = open_plain(path)
    tensors = {int(each["index"]): each for each in interpreter.get_tensor_details()}
    operators = interpreter._get_ops_details()
    makers = {int(index): each for each in operators for index in each["outputs"]}
    graph = TfliteGraph(interpreter, tensors, operators, makers)
    for each in operators:
        if each["op_name"] not in TFLITE_KERNEL:
            continue
        at, axis = TFLITE_KERNEL[each["op_name"]]
        index = graph.source(int(each["inputs"][at]))
        if index not in makers:
            codes, name = tensors[index]["quantization_parameters"], tensors[index]["name"]
            kernel = np.asarray(interpreter.get_tensor(index))
            zero_point, scale = np.asarray(codes["zero_points"]), np.asarray(codes["scales"], np.float32)
            bias = tflite_bias(graph, each, scale)
            yield stored_weight(name, kernel, channel_axis=axis, zero_point=zero_point, scale=scale, bias=bias)


@dataclass(frozen=True, kw_only=True)
class TfliteOperator:
    """One operator of a TFLite file.

    Attributes:
        kind: operator type, e.g. `CONV_2D`.
        name: name of its first output tensor.
        inputs: tensor indices; -1 for an omitted optional input.
        outputs: tensor indices.
        input_shapes: in the order of the inputs; empty for an omitted input.
        output_shapes: in the order of the outputs.
    """

    kind: str
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    input_shapes: tuple[tuple[int, ...], ...]
    output_shapes: tuple[tuple[int, ...], ...]


def tflite_operators(path: Path) -> list[TfliteOperator]:
    """Operators of a TFLite file's main graph, in execution order."""
    interpreter = open_plain(path)
    tensors = {int(each["index"]): each for each in interpreter.get_tensor_details()}
    return [_operator(each, tensors) for each in interpreter._get_ops_details() if each["op_name"] != "DELEGATE"]


def open_plain(path: Path) -> Any:
    """A LiteRT interpreter without a delegate, in which each constant keeps its own tensor.

    A file with an operator that only XNNPACK supports is opened with XNNPACK.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        interpreter = Interpreter(model_path=str(path), experimental_op_resolver_type=plain)
        interpreter.allocate_tensors()
    except RuntimeError:
        interpreter = Interpreter(model_path=str(path))
        interpreter.allocate_tensors()
    return interpreter


def _operator(details: dict[str, Any], tensors: dict[int, dict[str, Any]]) -> TfliteOperator:
    inputs, outputs = (tuple(int(index) for index in details[key]) for key in ("inputs", "outputs"))
    return TfliteOperator(
        kind=str(details["op_name"]),
        name=str(tensors[outputs[0]]["name"]),
        inputs=inputs,
        outputs=outputs,
        input_shapes=tuple(_shape(tensors.get(index)) for index in inputs),
        output_shapes=tuple(_shape(tensors.get(index)) for index in outputs),
    )


def _shape(tensor: dict[str, Any] | None) -> tuple[int, ...]:
    return tuple(int(side) for side in tensor["shape"]) if tensor else ()
