"""How far a score would move had other pictures of the same kind been taken: a bootstrap in constant memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from torchseg.metrics.confusion import Counts

_DRAWS = 400
_INTERVAL = (0.5, 99.5)  # percent
ENOUGH_PICTURES = 20  # with fewer the interval is too narrow: of 10, four equally good files in a hundred differed
_MARGIN = 0.001  # of mean IoU: less matters to nobody, however sure it is


class ResampledCounts:
    """Confusion matrices of many data sets drawn again, with replacement, from the pictures that stream by.

    A picture's number alone decides how often each drawn data set holds it, so that two files scored on the same
    pictures are compared pair by pair. Numbers of copies are Poisson distributed, which is what drawing with
    replacement comes to for many pictures and needs none of them to be kept.
    """

    def __init__(self, num_classes: int) -> None:
        self._counts = np.zeros((_DRAWS, num_classes, num_classes), np.int64)
        self.pictures = 0

    def add(self, counts: Counts) -> None:
        """Adds the confusion matrices `(B, K, K)` of the next pictures."""
        for number, matrix in enumerate(counts, self.pictures):
            self._counts += _copies(number)[:, None, None] * matrix
        self.pictures += len(counts)

    @property
    def miou(self) -> NDArray[np.float64]:
        """Mean IoU of every drawn data set, `(draws,)`; NaN for one that came out empty."""
        hits = np.diagonal(self._counts, axis1=1, axis2=2).astype(np.float64)  # (draws, K)
        truth, found = self._counts.sum(axis=2), self._counts.sum(axis=1)
        occurs = truth > 0
        iou = np.divide(hits, truth + found - hits, out=np.zeros_like(hits), where=occurs)
        with np.errstate(invalid="ignore"):
            return np.asarray(iou.sum(axis=1) / occurs.sum(axis=1))


@lru_cache(maxsize=64)  # files see the pictures of a batch one file after the other
def _copies(picture: int) -> NDArray[np.int64]:
    """How often each drawn data set holds this picture, `(draws,)`."""
    return np.random.default_rng(picture).poisson(1.0, _DRAWS)


@dataclass(frozen=True, kw_only=True)
class MiouDifference:
    """Mean IoU of one file minus that of another, with a 99 % interval over so many pictures.

    Of fewer than `ENOUGH_PICTURES` nothing is said.
    """

    value: float
    low: float
    high: float
    pictures: int

    @property
    def verdict(self) -> Literal["better", "same", "worse"]:
        """`same` where the interval holds 0, the difference is within 0.1 points, or pictures are too few."""
        if self.pictures < ENOUGH_PICTURES or self.low <= 0 <= self.high or abs(self.value) <= _MARGIN:
            return "same"
        return "better" if self.value > 0 else "worse"


def miou_difference(ours: ResampledCounts, theirs: ResampledCounts, *, value: float) -> MiouDifference | None:
    """Interval around `value`, the difference on the pictures as they are; None if no pixel of them is known."""
    apart = ours.miou - theirs.miou
    apart = apart[~np.isnan(apart)]
    if not apart.size:
        return None
    low, high = np.percentile(apart, _INTERVAL)
    return MiouDifference(value=value, low=float(low), high=float(high), pictures=ours.pictures)
