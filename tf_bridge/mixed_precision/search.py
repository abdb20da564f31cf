"""The search for the layers that int8 costs too much."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class AccuracyDrop:
    """What a choice of float layers loses against the network."""

    budget_share: float  # of the accuracy that may be lost; the budget holds up to 1
    logit_error: float  # mean absolute difference


Measure = Callable[[frozenset[str]], AccuracyDrop]  # of the file with these layers in float


def fewest_float_layers(layers: Sequence[str], measure: Measure) -> list[str] | None:
    """Chooses layers to leave in float so that the budget holds: none if it holds as it is.

    1. Each layer alone goes to int8; the more of the budget that costs, the higher the layer ranks. Among layers that
       cost about the same, the one that disturbs the logits more.
    2. The first 1, 2, 4, ... of the ranking stay in float until the budget holds; bisection finds the fewest.
    3. Each of these goes back to int8, the cheapest first, and stays there if the budget still holds.

    For n layers, k of them in float in the end, that is about `n + 2 log2(n) + k` measurements.

    Args:
        layers: all that can be quantized.
        measure: on the metric that counts.

    Returns:
        The layers in the order of `layers`, every single one of which is needed; None if the budget does not hold with
        at least one layer in int8.
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
        # A tenth of the budget is within noise: there the logits, which always move, decide.
        return max(0.0, round(loss.budget_share, 1)), loss.logit_error

    costs = {layer: cost(layer) for layer in layers}
    return sorted(layers, key=lambda layer: costs[layer], reverse=True)


def _shortest(ranked: Sequence[str], measure: Measure) -> int | None:
    """How many of the ranking must stay in float at least; None if all but one are too few."""
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
