"""What one prediction costs, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """One layer as the runtime runs it; what it fused into one is one layer.

    Attributes:
        name: of the layer, or of what it writes.
        kind: of operator, e.g. `Conv`.
        milliseconds: median over predictions.
        note: what else the runtime says: number format, kernel, shape, or that no fast path took it.
    """

    name: str
    kind: str
    milliseconds: float
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """All layers of a file in the order in which they run.

    Attributes:
        layers: with their times.
        method: how the times were taken, in one sentence.
        fast: share of the operators that the fast path took, in [0, 1]; None where there is no such distinction.
    """

    layers: Sequence[LayerCost]
    method: str
    fast: float | None = None

    @property
    def total_ms(self) -> float:
        """Of all layers."""
        return sum(layer.milliseconds for layer in self.layers)

    def costliest(self, count: int = 10) -> list[LayerCost]:
        """The layers that take longest, longest first."""
        return sorted(self.layers, key=lambda layer: -layer.milliseconds)[:count]
