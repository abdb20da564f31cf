"""Searches for the fewest layers that must stay in float in an int8 file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class AccuracyDrop:
    """How much accuracy a file with some choice of float layers loses against the network."""

    budget_share: float  # accuracy lost over the accuracy that may be lost; the budget holds up to 1
    logit_error: float  # mean absolute difference of the logits


Measure = Callable[[frozenset[str]], AccuracyDrop]  # measures the file with these layers in float


def fewest_float_layers(layers: Sequence[str], measure: Measure) -> list[str] | None:
    """Chooses the layers to leave in float so that the accuracy budget holds; none if full int8 holds it.

    1. Each layer alone is quantized, and the layers are ranked by the share of the budget that this costs. Between
       layers of about equal cost, the larger logit error ranks higher.
    2. The first 1, 2, 4, ... layers of the ranking stay in float until the budget holds; bisection then finds the
       smallest number.
    3. Each chosen layer is tried in int8 again, the cheapest first, and stays there if the budget still holds.

    For n layers, of which k end up in float, this takes about `n + 2 log2(n) + k` measurements.

    Args:
        layers: all layers that can be quantized.
        measure: the loss of accuracy for a set of float layers.

    Returns:
        The float layers in the order of `layers`, each of which is needed. None if the budget does not hold with even
        one layer in int8.
    """
    if _holds(measure, ()):
        return []
    ranked = _ranked(layers, measure)
    count = _shortest(ranked, measure)
    if count is None:
        return None
    chosen = ranked[:count]
    for layer in reversed(ranked[:count]):
        rest = [each for each in chosen if each != layer]
        if _holds(measure, rest):
            chosen = rest
    return [layer for layer in layers if layer in chosen]


def _holds(measure: Measure, layers: Iterable[str]) -> bool:
    return measure(frozenset(layers)).budget_share <= 1


def _ranked(layers: Sequence[str], measure: Measure) -> list[str]:
    def cost(layer: str) -> tuple[float, float]:
        loss = measure(frozenset(layers) - {layer})
        # A tenth of the budget is within noise; then the logit error decides, which is never zero.
        return max(0.0, round(loss.budget_share, 1)), loss.logit_error

    costs = {layer: cost(layer) for layer in layers}
    return sorted(layers, key=lambda layer: costs[layer], reverse=True)


def _shortest(ranked: Sequence[str], measure: Measure) -> int | None:
    """The smallest number of top-ranked layers that must stay in float; None if all but one are too few."""
    most = len(ranked) - 1
    low, high = 0, 1
    while high < most and not _holds(measure, ranked[:high]):
        low, high = high, min(2 * high, most)
    if high > most or (high == most and not _holds(measure, ranked[:high])):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _holds(measure, ranked[:middle]) else (middle, high)
    return high
