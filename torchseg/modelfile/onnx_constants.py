"""Values in an ONNX graph that depend on constants alone, stored as they are or computed from others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto


def constants_of(
    model: ModelProto, names: set[str], makers: dict[str, NodeProto], folder: Path
) -> dict[str, NDArray[Any]]:
    """Values by name, for those of `names` that do not depend on the input of the network.

    Args:
        model: loaded.
        names: of values.
        makers: the operator that computes each value.
        folder: of the file, for weights in files of their own.
    """
    from onnx import numpy_helper

    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    found = {name: numpy_helper.to_array(stored[name], base_dir=str(folder)) for name in names & stored.keys()}
    inputs = {value.name for value in graph.input} - stored.keys()
    computed = [name for name in names - stored.keys() if name in makers and not _ancestors(name, makers) & inputs]
    return found | (_compute(model, computed, makers) if computed else {})


def _ancestors(name: str, makers: dict[str, NodeProto]) -> set[str]:
    """Names of all values that the named value is computed from, including itself."""
    known, waiting = set(), [name]
    while waiting:
        if (name := waiting.pop()) not in known:
            known.add(name)
            waiting += [each for each in makers[name].input if each] if name in makers else []
    return known


def _compute(model: ModelProto, names: list[str], makers: dict[str, NodeProto]) -> dict[str, NDArray[Any]]:
    """Computes values that depend only on constants, with ONNX Runtime."""
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
