"""Which operations of a graph go to int8 together, or stay in float together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation of a file's graph, whatever the format."""

    name: str  # by which the format's quantizer knows it
    layer: str  # of the PyTorch network, e.g. `decode.0.3`
    inputs: Sequence[str]  # names of tensors
    outputs: Sequence[str]
    weighted: bool  # whether it is a convolution or a matrix product


def layer_groups(operations: Iterable[Operation]) -> dict[str, list[str]]:
    """Names of the operations of every layer with weights, together with what follows up to the next such layer.

    A ReLU, a concatenation or a resize has nothing to gain from float when its neighbours round to int8, so it goes
    with the last weighted layer before it. What comes before any weights forms a group under its own layer.

    Args:
        operations: in an order in which they can run.
    """
    groups: dict[str, list[str]] = {}
    made_by: dict[str, tuple[int, str]] = {}  # tensor -> place and group of the layer that it comes from
    for place, operation in enumerate(operations):
        before = [made_by[tensor] for tensor in operation.inputs if tensor in made_by]
        group = (place, operation.layer) if operation.weighted or not before else max(before)
        groups.setdefault(group[1], []).append(operation.name)
        made_by |= dict.fromkeys(operation.outputs, group)
    return groups
