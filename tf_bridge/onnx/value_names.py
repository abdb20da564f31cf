"""Names the values of an ONNX graph after the PyTorch layers that compute them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto


def rename_values(model: ModelProto, names: Mapping[str, str], *, weights: Collection[str] = ()) -> ModelProto:
    """Renames values that the exporter has named after nodes of the traced graph, in place.

    A node whose result is constant is an initializer by now, and so has its name like any other value. Values that
    are computed inside the bodies of `If`, `Loop` and `Scan` belong to other traced graphs and keep their names.

    Args:
        model: as the exporter returns it.
        names: node of the traced graph to new name.
        weights: parameters and buffers of the network. Their names come from the network, not from a node, even if a
            node has the same name.

    Returns:
        The same model. Inputs and outputs keep their names; of two values with one new name, the second ends in `_2`.
    """
    graph = model.graph
    made = _made(graph) - {value.name for value in (*graph.input, *graph.output)} - set(weights)
    renamed = {old: name for old, name in names.items() if old in made}
    taken = {name for each in (graph, *_bodies(graph)) for name in _all_names(each)} - renamed.keys()
    for old, name in renamed.items():
        renamed[old] = _free(name, taken)
        taken.add(renamed[old])
    _rename(graph, renamed)
    return model


def _free(name: str, taken: Collection[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def _rename(graph: GraphProto, new: Mapping[str, str]) -> None:
    for node in graph.node:
        for values in (node.input, node.output):
            values[:] = [new.get(value, value) for value in values]
    sparse = [tensor.values for tensor in graph.sparse_initializer]
    for item in (*graph.initializer, *sparse, *graph.value_info):
        item.name = new.get(item.name, item.name)
    for annotation in graph.quantization_annotation:
        annotation.tensor_name = new.get(annotation.tensor_name, annotation.tensor_name)
        for entry in annotation.quant_parameter_tensor_names:  # the value of an entry is the name of a tensor
            entry.value = new.get(entry.value, entry.value)
    for body in _own_bodies(graph):
        hidden = _made(body)  # a value of the body hides one of the same name outside
        inner = {old: name for old, name in new.items() if old not in hidden}
        for output in body.output:  # a body may return a value from outside
            output.name = inner.get(output.name, output.name)
        _rename(body, inner)


def _made(graph: GraphProto) -> set[str]:
    """Names of the values that a graph itself defines, without those of bodies."""
    made = {name for node in graph.node for name in node.output}
    tensors = (*graph.initializer, *graph.input, *(tensor.values for tensor in graph.sparse_initializer))
    return made | {each.name for each in tensors}


def _all_names(graph: GraphProto) -> set[str]:
    return _made(graph) | {name for node in graph.node for name in node.input}


def _own_bodies(graph: GraphProto) -> Iterator[GraphProto]:
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield attribute.g
            yield from attribute.graphs


def _bodies(graph: GraphProto) -> Iterator[GraphProto]:
    for body in _own_bodies(graph):
        yield body
        yield from _bodies(body)


def layer_of_node(node: NodeProto, weights: Collection[str]) -> str:
    """PyTorch layer of a node, from the name of its weights, `LAYER.weight`, or else of its result, `LAYER/OPERATOR`.

    Args:
        node: of a graph that `rename_values` has named.
        weights: names of the graph's initializers.
    """
    own = [layer_of_weight(name) for name in node.input if name in weights and "." in name and "/" not in name]
    return str(own[0] if own else node.output[0].split("/")[0])


def layer_of_weight(name: str) -> str:
    """PyTorch layer of an initializer: `LAYER.weight`, or `LAYER/OPERATOR` for a constant that the exporter folded."""
    layer, operator, _ = name.partition("/")
    return layer if operator else name.rpartition(".")[0]
