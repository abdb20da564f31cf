"""Bootstrap over images, in constant memory: how much a score depends on the choice of test images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from torchseg.metrics.confusion import Counts

_DRAWS = 400
_INTERVAL = (0.5, 99.5)  # percent
ENOUGH_PICTURES = 20  # with fewer, the interval is too narrow: with 10, 4 % of equally good files seemed to differ
_MARGIN = 0.001  # of mean IoU: smaller differences do not matter, even if they are significant


class ResampledCounts:
    """Confusion matrices of 400 bootstrap samples of the images, accumulated image by image.

    The index of an image alone determines how often each bootstrap sample contains it, so two files scored on the same
    images are compared as pairs. The numbers of copies are drawn from a Poisson distribution, which approximates
    drawing with replacement for many images and does not require keeping them.
    """

    def __init__(self, num_classes: int) -> None:
        self._counts = np.zeros((_DRAWS, num_classes, num_classes), np.int64)
        self.pictures = 0

    def add(self, counts: Counts) -> None:
        """Adds the confusion matrices `(B, K, K)` of the next images."""
        for number, matrix in enumerate(counts, self.pictures):
            self._counts += _copies(number)[:, None, None] * matrix
        self.pictures += len(counts)

    @property
    def miou(self) -> NDArray[np.float64]:
        """Mean IoU of every bootstrap sample, `(draws,)`, in [0, 1]; NaN for an empty one."""
        hits = np.diagonal(self._counts, axis1=1, axis2=2).astype(np.float64)  # (draws, K)
        truth, found = self._counts.sum(axis=2), self._counts.sum(axis=1)
        occurs = truth > 0
        iou = np.divide(hits, truth + found - hits, out=np.zeros_like(hits), where=occurs)
        with np.errstate(invalid="ignore"):
            return np.asarray(iou.sum(axis=1) / occurs.sum(axis=1))


@lru_cache(maxsize=64)  # each batch of images is scored with one file after the other
def _copies(picture: int) -> NDArray[np.int64]:
    """Number of copies of this image in each bootstrap sample, int64 `(draws,)`."""
    return np.random.default_rng(picture).poisson(1.0, _DRAWS)


@dataclass(frozen=True, kw_only=True)
class MiouDifference:
    """Mean IoU of one file minus that of another, with a 99 % bootstrap interval.

    Attributes:
        value: the difference on the images as they are.
        low: lower end of the interval.
        high: upper end of the interval.
        pictures: number of images; with fewer than `ENOUGH_PICTURES` the verdict is always `same`.
    """

    value: float
    low: float
    high: float
    pictures: int

    @property
    def verdict(self) -> Literal["better", "same", "worse"]:
        """`same` if the interval contains 0, the difference is at most 0.1 points, or there are too few images."""
        if self.pictures < ENOUGH_PICTURES or self.low <= 0 <= self.high or abs(self.value) <= _MARGIN:
            return "same"
        return "better" if self.value > 0 else "worse"


def miou_difference(ours: ResampledCounts, theirs: ResampledCounts, *, value: float) -> MiouDifference | None:
    """Bootstrap interval for the difference in mean IoU between two files.

    Args:
        ours: bootstrap samples of the first file.
        theirs: bootstrap samples of the second file, on the same images in the same order.
        value: the difference on the images as they are.

    Returns:
        None if no image has a valid pixel.
    """
    apart = ours.miou - theirs.miou
    apart = apart[~np.isnan(apart)]
    if not apart.size:
        return None
    low, high = np.percentile(apart, _INTERVAL)
    return MiouDifference(value=value, low=float(low), high=float(high), pictures=ours.pictures)
