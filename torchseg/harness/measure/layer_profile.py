"""The latency of one prediction, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """One layer as the runtime runs it; fused operators are one layer.

    Attributes:
        name: name of the layer or of its output tensor.
        kind: operator type, e.g. `Conv`.
        milliseconds: median over predictions.
        note: further details: number format, kernel, shape, or that it is outside the fast path.
    """

    name: str
    kind: str
    milliseconds: float
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """All layers of a file with their latency, in execution order.

    Attributes:
        layers: the layers.
        method: how the times were measured, in one sentence.
        fast: share of the operators that the fast path took, in [0, 1]; None if the runtime has no fast path.
    """

    layers: Sequence[LayerCost]
    method: str
    fast: float | None = None

    @property
    def total_ms(self) -> float:
        """Sum over all layers, in milliseconds."""
        return sum(layer.milliseconds for layer in self.layers)

    def costliest(self, count: int = 10) -> list[LayerCost]:
        """The `count` layers that take longest, longest first."""
        return sorted(self.layers, key=lambda layer: -layer.milliseconds)[:count]
