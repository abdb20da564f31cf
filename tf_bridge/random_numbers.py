"""Finds layers that draw random numbers in eval mode."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tf_bridge.lowering.unsupported import UnsupportedOperatorError, complaint

if TYPE_CHECKING:
    from torch.fx import Graph, Node


def draws_random_numbers(node: Node) -> bool:
    """Whether a node of a traced network gives other results at every call.

    An operator that is random in training, such as a recurrent layer with dropout, may be told not to train.
    """
    import torch

    if torch.Tag.nondeterministic_seeded not in getattr(node.target, "tags", ()):
        return False
    parameters = node.target._schema.arguments  # type: ignore[union-attr]
    given = {each.name: each.default_value for each in parameters if each.has_default_value()}
    given |= dict(zip([each.name for each in parameters], node.args, strict=False)) | node.kwargs
    return all(given.get(name, True) for name in ("train", "training", "dropout_p"))


def random_numbers_complaint(node: Node) -> str:
    """Names the operator and the layer of a node that draws random numbers, and says what to do."""
    return complaint(
        node,
        "gives random numbers, which a file cannot compute",
        advice="make that layer the same at every call in eval",
    )


def check_no_random_numbers(graph: Graph) -> None:
    """Raises UnsupportedOperatorError if the results of a traced network depend on random numbers; names the layer."""
    needed = ancestors(next(node for node in graph.nodes if node.op == "output").all_input_nodes)
    for node in graph.nodes:
        if node in needed and draws_random_numbers(node):
            raise UnsupportedOperatorError(random_numbers_complaint(node))


def ancestors(nodes: Iterable[Node]) -> set[Node]:
    """The nodes and everything that they are computed from."""
    waiting, seen = list(nodes), set()
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += node.all_input_nodes
    return seen
