"""Reads which operators a SavedModel holds, before anything of it runs: one can write files and call other programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tf_bridge.from_tensorflow.operators import ALLOWED, OF_CHECKPOINTS
from tf_bridge.lowering.values import TensorFlow

_SHOWN = 5  # names in a message
_V1_ROOTS = ("main_op", "legacy_init_op", "saved_model_main_op")  # collections of nodes that run when it is opened
_WRITING = {"SaveV2", "MergeV2Checkpoints"}
_MAIN = ""  # the graph outside of functions
Graph = Mapping[str, list[Any]]
"""Nodes of each function, and of the main graph under `_MAIN`."""


def check_saved_model(tf: TensorFlow, path: Path) -> None:
    """Refuses a SavedModel with an operator that layers do not need; nothing of it is run.

    Operators that save and restore variables may stand in functions that nothing calls when the model is opened or
    used, where TensorFlow puts them.

    Raises:
        ValueError: with the names of the operators.
        OSError: if TensorFlow cannot read the file.
    """
    saved = tf.__internal__.saved_model.parse_saved_model(str(path))  # what `tf.saved_model.load` reads
    for meta in saved.meta_graphs:
        graph = _graph(meta)
        used = {node.op for nodes in graph.values() for node in nodes}
        unknown = used - ALLOWED - OF_CHECKPOINTS - set(graph)
        if unknown:
            raise ValueError(_refusal(path, unknown, "networks of layers do without, and"))
        called = {node.op for node in _called(meta, graph, opens_objects=len(saved.meta_graphs) == 1)}
        if called & OF_CHECKPOINTS:
            raise ValueError(_refusal(path, called & OF_CHECKPOINTS, "belong to the saving of variables, and here"))


def _refusal(path: Path, operators: set[str], why: str) -> str:
    names = sorted(operators)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (
        f"{path} has the operators {', '.join(names[:_SHOWN])}{more}, which {why} may reach files, the network or "
        "other programs; nothing of the model has run: save it again without them, or export the network alone"
    )


def _graph(meta: Any) -> Graph:
    functions = {each.signature.name: list(each.node_def) for each in meta.graph_def.library.function}
    return functions | {_MAIN: list(meta.graph_def.node)}


def _called(meta: Any, graph: Graph, *, opens_objects: bool) -> Iterator[Any]:
    """Nodes that may run when the model is opened or used.

    TensorFlow 2 runs functions that the model's tree of objects names; without one, it runs parts of the main graph.
    """
    if opens_objects and meta.HasField("object_graph_def"):
        objects = meta.object_graph_def.SerializeToString()
        waiting = [name for name in graph if name != _MAIN and name.encode() in objects]
    else:
        nodes = _ancestors(graph[_MAIN], _v1_roots(meta))
        restoring = _ancestors(graph[_MAIN], [meta.saver_def.restore_op_name])
        yield from (*nodes, *(node for node in restoring if node.op in _WRITING))
        waiting = [name for node in nodes for name in _functions_of(node)]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in graph and name not in seen:
            seen.add(name)
            yield from graph[name]
            waiting += [other for node in graph[name] for other in _functions_of(node)]


def _functions_of(node: Any) -> Iterator[str]:
    """Functions that a node may call: its operator, and those that its attributes name."""
    yield node.op
    for value in node.attr.values():
        yield from (each.name for each in (value.func, *value.list.func) if each.name)


def _v1_roots(meta: Any) -> Iterator[str]:
    for signature in meta.signature_def.values():
        for tensor in signature.outputs.values():
            yield from (tensor.name, tensor.coo_sparse.values_tensor_name, tensor.coo_sparse.indices_tensor_name)
    for name in _V1_ROOTS:
        yield from meta.collection_def[name].node_list.value if name in meta.collection_def else ()


def _ancestors(nodes: Iterable[Any], names: Iterable[str]) -> list[Any]:
    """The nodes with these names, and all that they take values from or wait for."""
    known = {node.name: node for node in nodes}
    waiting, found = [_node_name(name) for name in names], {}
    while waiting:
        name = waiting.pop()
        if name in known and name not in found:
            found[name] = known[name]
            waiting += map(_node_name, known[name].input)
    return list(found.values())


def _node_name(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]
