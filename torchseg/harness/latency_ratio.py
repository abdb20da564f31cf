"""How much quicker or slower one file is than another, and whether that is more than noise."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import Literal

import numpy as np
from numpy.typing import NDArray

ENOUGH_ROUNDS = 8  # the least whose quickest and slowest hold the median with 99 % confidence: 1 - 2 / 2^8
_DOUBT = 0.01
_MARGIN = 0.05  # ratios closer to 1 than this help nobody, however sure they are


@dataclass(frozen=True, kw_only=True)
class LatencyRatio:
    """Time of one file over the time of another, with a 99 % confidence interval; below 1 is quicker.

    With fewer than `ENOUGH_ROUNDS` there is no such interval: `low` and `high` are the extremes, and nothing is said.
    """

    value: float
    low: float
    high: float
    rounds: int

    @property
    def verdict(self) -> Literal["faster", "same", "slower"]:
        """`same` where the interval holds 1, the ratio is within 5 % of it, or there are too few rounds."""
        if self.rounds < ENOUGH_ROUNDS or self.low <= 1 <= self.high or abs(self.value - 1) <= _MARGIN:
            return "same"
        return "faster" if self.value < 1 else "slower"

    @property
    def settled(self) -> bool:
        """Whether further rounds would hardly change what is said: the interval is narrow, or far from 1."""
        narrow = self.high - self.low <= 2 * _MARGIN * self.value
        apart = self.high < 1 - _MARGIN or self.low > 1 + _MARGIN
        return self.rounds >= ENOUGH_ROUNDS and (narrow or apart)


def latency_ratio(ours_ms: NDArray[np.float64], theirs_ms: NDArray[np.float64]) -> LatencyRatio:
    """Compares two files that were timed in the same rounds.

    What disturbs one turn of a round mostly disturbs its neighbours too, so the ratio is taken within a round, of the
    quickest prediction of each turn, and its median is quoted. The interval is that of the sign test: it lies between
    two of the sorted ratios and assumes no distribution (Conover, Practical Nonparametric Statistics, 3.2).

    Args:
        ours_ms: `(rounds, repeats)`.
        theirs_ms: same shape, timed in alternation with ours.

    Raises:
        ValueError: if the two were not timed in the same rounds.
    """
    if ours_ms.shape != theirs_ms.shape:
        raise ValueError(f"timings are {ours_ms.shape} and {theirs_ms.shape}; time both files in the same rounds")
    ratios = np.sort(ours_ms.min(axis=1) / theirs_ms.min(axis=1))  # (rounds,)
    outside = _outside(len(ratios))
    return LatencyRatio(
        value=float(np.median(ratios)),
        low=float(ratios[outside]),
        high=float(ratios[-1 - outside]),
        rounds=len(ratios),
    )


def _outside(count: int) -> int:
    """How many of `count` sorted values lie below, and above, a 99 % confidence interval of their median."""
    chance, outside = 2 / 2**count, 0  # that the median lies outside of the interval
    while (chance := chance + 2 * comb(count, outside + 1) / 2**count) <= _DOUBT:
        outside += 1
    return outside
