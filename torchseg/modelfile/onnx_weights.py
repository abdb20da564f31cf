"""Reads the weights back out of an ONNX file, also where operators rebuild them from constants."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from torchseg.modelfile.weights import StoredWeight, stored_weight

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

# Where the kernel stands among the inputs of each kind of operator that multiplies.
_KERNEL = {
    "Conv": 1, "ConvTranspose": 1, "Gemm": 1, "MatMul": 1,
    "ConvInteger": 1, "MatMulInteger": 1, "QLinearConv": 3,
}  # fmt: skip
_ZERO_POINT = {"QLinearConv": 5, "ConvInteger": 3, "MatMulInteger": 3}
_NUMBER_TYPES = ("DequantizeLinear", "QuantizeLinear", "Cast")  # change how a number is stored, not which it is
_NONE = np.empty(0, np.int32)


def onnx_weights(path: Path) -> Iterator[StoredWeight]:
    """Kernel of every convolution and matrix product in the file; products of two computed values have none."""
    import onnx

    model = onnx.load(path)
    makers = {name: node for node in model.graph.node for name in node.output}
    wanted = [_source(node, makers) for node in model.graph.node if node.op_type in _KERNEL]
    names = {name for _, name, zero_point in wanted for name in (name, zero_point) if name}
    arrays = _constants(model, names, makers, path.parent)
    for node, name, zero_point in wanted:
        if name in arrays:
            axis = _channel_axis(node, arrays[name])
            yield stored_weight(name, arrays[name], channel_axis=axis, zero_point=arrays.get(zero_point, _NONE))


def _source(node: NodeProto, makers: dict[str, NodeProto]) -> tuple[NodeProto, str, str]:
    """The operator, the name of the numbers that its kernel is stored as, and that of their zero point."""
    name, at = node.input[_KERNEL[node.op_type]], _ZERO_POINT.get(node.op_type, len(node.input))
    zero_point = node.input[at] if at < len(node.input) else ""
    while name in makers and makers[name].op_type in _NUMBER_TYPES:
        maker = makers[name]
        if maker.op_type == "DequantizeLinear" and len(maker.input) > 2:
            zero_point = maker.input[2]
        name = maker.input[0]
    return node, name, zero_point


def _channel_axis(node: NodeProto, kernel: NDArray[Any]) -> int:
    if node.op_type == "ConvTranspose":
        return 1
    if node.op_type == "Gemm":
        return 0 if any(each.name == "transB" and each.i for each in node.attribute) else 1
    return kernel.ndim - 1 if node.op_type.startswith("MatMul") else 0


def _constants(
    model: ModelProto, names: set[str], makers: dict[str, NodeProto], folder: Path
) -> dict[str, NDArray[Any]]:
    """Those of the names that do not depend on the input of the network, with their values."""
    from onnx import numpy_helper

    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    found = {name: numpy_helper.to_array(stored[name], base_dir=str(folder)) for name in names & stored.keys()}
    inputs = {value.name for value in graph.input} - stored.keys()
    computed = [name for name in names - stored.keys() if name in makers and not _ancestors(name, makers) & inputs]
    return found | (_compute(model, computed, makers) if computed else {})


def _ancestors(name: str, makers: dict[str, NodeProto]) -> set[str]:
    """Everything that the named value is computed from, itself included."""
    known, waiting = set(), [name]
    while waiting:
        if (name := waiting.pop()) not in known:
            known.add(name)
            waiting += [each for each in makers[name].input if each] if name in makers else []
    return known


def _compute(model: ModelProto, names: list[str], makers: dict[str, NodeProto]) -> dict[str, NDArray[Any]]:
    """Lets ONNX Runtime work out values that depend on constants alone."""
    import onnx
    import onnxruntime

    needed = set().union(*(_ancestors(name, makers) for name in names))
    part = onnx.ModelProto()
    part.CopyFrom(model)
    graph = part.graph
    nodes = [node for node in graph.node if needed.intersection(node.output)]
    tensors = [tensor for tensor in graph.initializer if tensor.name in needed]
    _replace(graph, nodes, tensors)
    types = {value.name: value for value in onnx.shape_inference.infer_shapes(part).graph.value_info}
    graph.output.extend(types[name] for name in names)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(part.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip(names, session.run(names, {}), strict=True))


def _replace(graph: GraphProto, nodes: list[NodeProto], tensors: list[Any]) -> None:
    copies = [type(each).FromString(each.SerializeToString()) for each in (*nodes, *tensors)]
    for part in (graph.node, graph.initializer, graph.input, graph.output, graph.value_info):
        del part[:]
    graph.node.extend(copies[: len(nodes)])
    graph.initializer.extend(copies[len(nodes) :])
