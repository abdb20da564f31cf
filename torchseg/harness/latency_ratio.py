"""How much quicker or slower one file is than another, and whether that is more than noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

_DRAWS = 2000
_MARGIN = 0.05  # ratios closer to 1 than this help nobody, however sure they are


@dataclass(frozen=True, kw_only=True)
class LatencyRatio:
    """Time of one file over the time of another, with a 99 % bootstrap interval; below 1 is quicker."""

    value: float
    low: float
    high: float

    @property
    def verdict(self) -> Literal["faster", "same", "slower"]:
        """`same` where the interval holds 1, or the ratio is within 5 % of it."""
        if self.low <= 1 <= self.high or abs(self.value - 1) <= _MARGIN:
            return "same"
        return "faster" if self.value < 1 else "slower"

    @property
    def settled(self) -> bool:
        """Whether further rounds would hardly change what is said: the interval is narrow, or far from 1."""
        narrow = self.high - self.low <= 2 * _MARGIN * self.value
        return narrow or self.high < 1 - _MARGIN or self.low > 1 + _MARGIN


def latency_ratio(ours_ms: NDArray[np.float64], theirs_ms: NDArray[np.float64], *, seed: int = 0) -> LatencyRatio:
    """Compares two files that were timed in the same rounds.

    Rounds are the unit that is drawn again: what disturbs one turn of a round mostly disturbs its neighbours too, so
    the ratio is taken within a round, of the quickest prediction of each turn, and its median is quoted.

    Args:
        ours_ms: `(rounds, repeats)`.
        theirs_ms: same shape, timed in alternation with ours.
        seed: of the bootstrap.

    Raises:
        ValueError: if the two were not timed in the same rounds.
    """
    if ours_ms.shape != theirs_ms.shape:
        raise ValueError(f"timings are {ours_ms.shape} and {theirs_ms.shape}; time both files in the same rounds")
    ratios = ours_ms.min(axis=1) / theirs_ms.min(axis=1)  # (rounds,)
    draws = np.random.default_rng(seed).integers(0, len(ratios), (_DRAWS, len(ratios)))
    low, high = np.percentile(np.median(ratios[draws], axis=1), [0.5, 99.5])
    return LatencyRatio(value=float(np.median(ratios)), low=float(low), high=float(high))
