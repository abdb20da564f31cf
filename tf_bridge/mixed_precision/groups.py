"""Groups the operations of a graph that are quantized to int8, or stay in float, together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation in the graph of a model file, ONNX or TFLite."""

    name: str  # by which the quantizer of the format identifies it
    layer: str  # of the PyTorch network, e.g. `decode.0.3`
    inputs: Sequence[str]  # names of tensors
    outputs: Sequence[str]
    weighted: bool  # whether it is a convolution or a matrix product


def layer_groups(operations: Iterable[Operation]) -> dict[str, list[str]]:
    """Assigns every operation to a layer with weights: its own, or the last one before it.

    A ReLU, a concatenation or a resize gains nothing from float when its neighbours round to int8, so it belongs to the
    group of the last weighted layer before it. Operations before the first weights form a group under their own layer.

    Args:
        operations: in an order in which they can run.

    Returns:
        Layer name to the names of its operations, in the order of the graph.
    """
    groups: dict[str, list[str]] = {}
    made_by: dict[str, tuple[int, str]] = {}  # tensor -> position and name of the layer that its group belongs to
    for place, operation in enumerate(operations):
        before = [made_by[tensor] for tensor in operation.inputs if tensor in made_by]
        group = (place, operation.layer) if operation.weighted or not before else max(before)
        groups.setdefault(group[1], []).append(operation.name)
        made_by |= dict.fromkeys(operation.outputs, group)
    return groups
