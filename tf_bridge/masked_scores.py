"""Finds the scores of attention to which a mask adds very negative constants, or of which it replaces some by these.

The 256 steps of an int8 tensor cannot hold both: a mask of -1e4 makes the steps 40 wide, and all scores equal. What
lies between the mask and the softmax therefore stays in float. The products before and after it are computed in int8.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

_WIDENED = 2.0  # largest factor by which a mask may widen the range of the scores; it costs them one bit of eight
_MASKING = frozenset({"ADD", "SUB", "WHERE", "SELECT", "SELECTV2"})
_BOUNDING = frozenset({"SOFTMAX", "LOGSOFTMAX", "EXP", "SIGMOID", "LOGISTIC", "TANH"})
# Between the mask and one of those: operations that move, choose or scale the scores.
_BETWEEN = _MASKING | {
    *("RESHAPE", "TRANSPOSE", "SQUEEZE", "UNSQUEEZE", "EXPANDDIMS", "FLATTEN", "IDENTITY", "EXPAND", "TILE"),
    *("BROADCASTTO", "CONCAT", "CONCATENATION", "PACK", "SPLIT", "SPLITV", "SLICE", "STRIDEDSLICE", "GATHER"),
    *("MUL", "DIV", "MAX", "MIN", "MAXIMUM", "MINIMUM", "REDUCEMAX", "REDUCEMIN"),
}

Tensor = Hashable
Range = tuple[float, float]


@dataclass(frozen=True)
class Operation:
    """One operation of an exported graph, in either format."""

    name: str
    kind: str  # as its format calls it: `ReduceMax`, `REDUCE_MAX`
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def masked_scores(operations: Sequence[Operation], ranges: Mapping[Tensor, Range]) -> set[str]:
    """Names of the operations from each mask to its softmax, both included.

    Args:
        operations: of a graph, in the order of computation.
        ranges: measured smallest and largest value of each tensor that depends on the image.

    Returns:
        Nothing for a mask that widens the range of the scores at most twice, such as the biases of relative positions,
        and nothing where the sum is read by anything that its large values have an effect on.
    """
    found: set[str] = set()
    for operation, constants in _masks(operations, ranges.keys()):
        scores = [_width(ranges[each]) for each in operation.inputs if each in ranges]
        total = max((_width(ranges[each]) for each in operation.outputs if each in ranges), default=0.0)
        if constants and scores and total > _WIDENED * max(scores):
            found |= _to_the_softmax(operation, operations)
    return found


def mask_constants(operations: Sequence[Operation], computed: Iterable[Tensor]) -> set[Tensor]:
    """The constants that are read by masks alone.

    Args:
        operations: of a graph, in the order of computation.
        computed: the tensors that depend on the image.
    """
    masks = [
        (operation, constants)
        for operation, constants in _masks(operations, computed)
        if constants and _to_the_softmax(operation, operations)
    ]
    names = {operation.name for operation, _ in masks}
    others = {tensor for each in operations if each.name not in names for tensor in each.inputs}
    return {tensor for _, constants in masks for tensor in constants} - others


def is_bounding(kind: str) -> bool:
    """Whether an operation turns whatever a mask has made very negative into a number that is not."""
    return _plain(kind) in _BOUNDING


def _masks(operations: Sequence[Operation], computed: Iterable[Tensor]) -> Iterator[tuple[Operation, list[Tensor]]]:
    """The operations that may add a mask, each with its constants."""
    varying = set(computed)
    for each in operations:
        if _plain(each.kind) in _MASKING and varying.intersection(each.inputs):
            yield each, [tensor for tensor in each.inputs if tensor not in varying]


def _to_the_softmax(mask: Operation, operations: Sequence[Operation]) -> set[str]:
    """Names of the operations from a mask to each softmax that reads it; empty if something else reads it as well."""
    found, reached = {mask.name}, set(mask.outputs)
    ends = False
    for each in operations:
        if each.name in found or not reached.intersection(each.inputs):
            continue
        kind = _plain(each.kind)
        if kind not in _BOUNDING | _BETWEEN:
            return set()
        found.add(each.name)
        ends |= is_bounding(kind)
        if kind in _BETWEEN:
            reached.update(each.outputs)
    return found if ends else set()


def _plain(kind: str) -> str:
    return kind.upper().replace("_", "")


def _width(ends: Range) -> float:
    """Width of a range, extended to contain zero as quantizers do."""
    low, high = ends
    return max(high, 0.0) - min(low, 0.0)
