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

    Attributes:
        value: median over rounds of the ratio of their quickest predictions.
        low: lower end of its interval.
        high: upper end.
        minima: ratio of the quickest predictions of all rounds. A machine that changes its pace for seconds makes
            neighbouring rounds alike, and the interval too narrow; both ratios are rarely wrong on the same side.
        rounds: that both were timed in.
    """

    value: float
    low: float
    high: float
    minima: float
    rounds: int

    @property
    def verdict(self) -> Literal["faster", "same", "slower"]:
        """`same` unless there are enough rounds and everything lies on one side of 1, both ratios by more than 5 %."""
        if self.rounds >= ENOUGH_ROUNDS:
            if self.high < 1 and max(self.value, self.minima) < 1 - _MARGIN:
                return "faster"
            if self.low > 1 and min(self.value, self.minima) > 1 + _MARGIN:
                return "slower"
        return "same"

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
        minima=float(ours_ms.min() / theirs_ms.min()),
        rounds=len(ratios),
    )


def _outside(count: int) -> int:
    """How many of `count` sorted values lie below, and above, a 99 % confidence interval of their median."""
    chance, outside = 2 / 2**count, 0  # that the median lies outside of the interval
    while (chance := chance + 2 * comb(count, outside + 1) / 2**count) <= _DOUBT:
        outside += 1
    return outside
