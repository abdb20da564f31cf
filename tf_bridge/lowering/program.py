"""Prepares a traced network for the translation: computes constants, and decomposes operators that the table lacks."""

from __future__ import annotations

import operator
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tf_bridge.layer_names import layer_names
from tf_bridge.lowering.unsupported import UnsupportedOperatorError, complaint, operator_name
from tf_bridge.random_numbers import ancestors, draws_random_numbers, random_numbers_complaint

if TYPE_CHECKING:
    from torch.export import ExportedProgram
    from torch.fx import Graph, Node

# These have no result that anything depends on.
_CHECKS = ("aten._assert_tensor_metadata.default", "aten._assert_async.msg", "aten._assert_scalar.default")
# The result of these depends on the shape of their first argument alone.
_SHAPE_ONLY = ("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full")


@dataclass(frozen=True)
class PreparedProgram:
    """A traced network in which every operator is in the table, and depends on the image."""

    graph: Graph  # `meta["label"]` of a node is the prefix of its tensors' names
    constants: dict[Node, Any]  # weights, buffers, literal tensors and what PyTorch computes from them alone
    image: Node
    outputs: list[Node]


def prepare_program(program: ExportedProgram, known: Collection[str]) -> PreparedProgram:
    """Brings a traced network into the form that the tables of operators can translate.

    Args:
        program: one image in, static shapes.
        known: names of the operators in the table. All others are replaced by PyTorch's own decomposition.

    Raises:
        UnsupportedOperatorError: for an operator that is unknown and has no decomposition, and for a random one.
    """
    signature = program.graph_signature
    sources = {**program.constants, **program.state_dict}
    held = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    names, preparation = layer_names(program.graph), _Preparation(known)
    for node in program.graph.nodes:
        node.meta["label"] = names.get(node.name, "values")
        if node.op == "placeholder":
            new = preparation.graph.node_copy(node)
            preparation.found[node] = new
            if node.name in held:
                preparation.constants[new] = sources[held[node.name]].detach().cpu()
            else:
                image = new
    results = preparation.add(program.graph)
    wanted = set(signature.user_outputs)
    outputs = [preparation.found[node] for node in results if node.name in wanted]
    return PreparedProgram(preparation.graph, preparation.constants, image, outputs)


def _empty_graph() -> Graph:
    from torch.fx import Graph

    return Graph()


@dataclass
class _Preparation:
    """Copies graphs into one, node by node."""

    known: Collection[str]
    graph: Graph = field(default_factory=_empty_graph)
    constants: dict[Node, Any] = field(default_factory=dict)
    found: dict[Node, Node] = field(default_factory=dict)  # node of a source -> its copy

    def add(self, graph: Graph, outer: Node | None = None) -> list[Node]:
        """Copies the calls that the results of a graph depend on; returns its results, nodes of the source."""
        results = _flat(next(node for node in graph.nodes if node.op == "output").args[0])
        needed = ancestors(results)
        for node in graph.nodes:
            if outer is not None:
                node.meta |= {key: outer.meta[key] for key in ("nn_module_stack", "label") if key in outer.meta}
                node.meta["decomposed"] = outer.meta.get("decomposed", operator_name(outer))
            if node in needed and node.op == "get_attr":
                self._constant(node, getattr(graph.owning_module, node.target))
            elif node in needed and node.op == "call_function":
                self._call(node)
        return results

    def _call(self, node: Node) -> None:
        if operator_name(node) in _CHECKS:
            return
        node.target = _out_of_place(node)
        if self._is_constant(node):
            self._constant(node, self._computed(node))
        elif node.target is operator.getitem or operator_name(node) in self.known:
            self.found[node] = self.graph.node_copy(node, self.found.__getitem__)
        else:
            self._decompose(node)

    def _is_constant(self, node: Node) -> bool:
        if draws_random_numbers(node):
            raise UnsupportedOperatorError(random_numbers_complaint(node))
        shape_only = _plain_name(node) in _SHAPE_ONLY
        return shape_only or all(self.found[each] in self.constants for each in node.all_input_nodes)

    def _computed(self, node: Node) -> Any:
        import torch
        from torch.utils._pytree import tree_map_only

        def known(each: Node) -> Any:
            if self.found[each] in self.constants:
                return self.constants[self.found[each]]
            return torch.empty(each.meta["val"].shape, dtype=each.meta["val"].dtype)

        arguments, keywords = tree_map_only(torch.fx.Node, known, (list(node.args), dict(node.kwargs)))
        with torch.no_grad():
            return node.target(*arguments, **keywords)  # type: ignore[operator]

    def _constant(self, node: Node, value: Any) -> None:
        self.found[node] = self.graph.placeholder(node.name)
        self.constants[self.found[node]] = value

    def _decompose(self, node: Node) -> None:
        inputs = node.all_input_nodes
        graph = _decomposition(node)
        if graph is None:
            raise UnsupportedOperatorError(complaint(node, "is not known to the TFLite exporter"))
        for placeholder, given in zip([each for each in graph.nodes if each.op == "placeholder"], inputs, strict=True):
            self.found[placeholder] = self.found[given]
        results = [self.found[each] for each in self.add(graph, node)]
        if isinstance(node.meta.get("val"), tuple | list):
            self.found[node] = self.graph.call_function(pack, tuple(results))
        else:
            self.found[node] = results[0]


def pack(*parts: Any) -> list[Any]:
    """The results of a decomposed operator as one list, from which the network takes them by index."""
    return list(parts)


def _decomposition(node: Node) -> Graph | None:
    """What PyTorch replaces an operator by, as a graph of the tensors among its arguments; None if it has nothing."""
    import torch
    from torch._decomp import decomposition_table
    from torch.fx.experimental.proxy_tensor import make_fx
    from torch.utils._pytree import tree_map_only

    target = node.target
    if not isinstance(target, torch._ops.OpOverload) or not (target in decomposition_table or target._can_decompose()):
        return None
    inputs = node.all_input_nodes

    def call(*tensors: Any) -> Any:
        given = dict(zip(inputs, tensors, strict=True))
        arguments, keywords = tree_map_only(torch.fx.Node, given.__getitem__, (list(node.args), dict(node.kwargs)))
        return target(*arguments, **keywords)

    plain = torch.func.functionalize(call)  # some decompositions write in place
    # On the CPU, PyTorch replaces a recurrent layer by one operator of MKL-DNN.
    device = "meta" if _plain_name(node) == "lstm" else "cpu"
    samples = [torch.zeros(each.meta["val"].shape, dtype=each.meta["val"].dtype, device=device) for each in inputs]
    table = {target: decomposition_table[target]} if target in decomposition_table else {}
    try:
        with torch.no_grad():
            graph = make_fx(plain, decomposition_table=table, tracing_mode="fake")(*samples).graph
    except Exception:  # PyTorch's decompositions raise what they like, e.g. for a use that they do not cover
        return None
    return None if any(each.target is target for each in graph.nodes) else graph


def _out_of_place(node: Node) -> Any:
    """The operator, or for a change of shape in place such as `squeeze_` the one that returns a new tensor."""
    import torch

    name, _, overload = operator_name(node).removeprefix("aten.").partition(".")
    packet = getattr(torch.ops.aten, name[:-1], None) if name.endswith("_") and not name.startswith("__") else None
    found = getattr(packet, overload, None) or getattr(packet, "int", None)  # `transpose` has no default overload
    return found or node.target


def _plain_name(node: Node) -> str:
    return operator_name(node).removeprefix("aten.").split(".")[0]


def _flat(outputs: Any) -> list[Node]:
    from torch.fx import Node

    return [each for each in (outputs if isinstance(outputs, list | tuple) else [outputs]) if isinstance(each, Node)]
