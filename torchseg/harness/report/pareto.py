"""The files that no other file beats at both accuracy and cost."""

from __future__ import annotations

from collections.abc import Sequence


def pareto(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the points that no other one beats, by rising cost.

    Args:
        points: `(cost, gain)` each; less cost and more gain are better.

    Returns:
        Every kept point gains more than all that cost less; of equal points the first is kept.
    """
    best = float("-inf")
    kept = []
    for index in sorted(range(len(points)), key=lambda at: (points[at][0], -points[at][1], at)):
        if points[index][1] > best:
            best = points[index][1]
            kept.append(index)
    return kept
