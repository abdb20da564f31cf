"""Boundary IoU: overlap counted near the contours alone, where small errors hide from IoU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_DILATION = 0.02  # width of the band as a share of the picture's diagonal, as in the source


@dataclass(frozen=True, kw_only=True, eq=False)
class BoundaryCounts:
    """Pixels per class, `(K,)` each; add counts to stream over a data set.

    Attributes:
        both: in the band of the truth and in that of the prediction.
        either: in at least one of the two bands.
        truth: in the band of the truth.
    """

    both: NDArray[np.int64]
    either: NDArray[np.int64]
    truth: NDArray[np.int64]

    def __add__(self, other: BoundaryCounts) -> BoundaryCounts:
        return BoundaryCounts(
            both=self.both + other.both, either=self.either + other.either, truth=self.truth + other.truth
        )

    @property
    def miou(self) -> float:
        """Mean over the classes that occur in the truth; NaN if none does."""
        occurs = self.truth > 0
        return float((self.both[occurs] / self.either[occurs]).mean()) if occurs.any() else float("nan")


def boundary_counts(labels: NDArray[np.integer], mask: NDArray[np.integer], *, num_classes: int) -> BoundaryCounts:
    """Counts the pixels near the contours of every class in one picture.

    Source: arXiv:2103.16562, equation 3; the band is 2 % of the diagonal wide, at least one pixel, and lies inside the
    class. The picture's edge is a contour too, as in the source. Ignored pixels are left out of both bands.

    Args:
        labels: predicted classes, `(H, W)`.
        mask: true classes, `(H, W)`; a value outside `[0, num_classes)` leaves its pixel out.
        num_classes: K.

    Raises:
        ValueError: if the shapes differ.
    """
    if labels.shape != mask.shape or labels.ndim != 2:
        raise ValueError(f"labels are {labels.shape} and the mask is {mask.shape}; both must be one (H, W)")
    classes = np.arange(num_classes)[:, None, None]
    width = max(1, round(_DILATION * float(np.hypot(*mask.shape))))
    known = (mask >= 0) & (mask < num_classes)
    # An ignored pixel takes the prediction's side in both, so that it makes no contour of its own.
    truth = _band(np.where(known, mask, labels) == classes, width) & known
    found = _band(labels == classes, width) & known
    return BoundaryCounts(
        both=(truth & found).sum(axis=(1, 2)),
        either=(truth | found).sum(axis=(1, 2)),
        truth=truth.sum(axis=(1, 2)),
    )


def _band(inside: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """Pixels of `(K, H, W)` regions that lie at most `width` steps, diagonals included, from their outside."""
    core = np.pad(inside, ((0, 0), (width, width), (width, width)))
    for axis in (1, 2):  # a square's erosion is that of its two sides, one after the other
        length = core.shape[axis] - 2 * width
        shifted = [core.take(range(start, start + length), axis=axis) for start in range(2 * width + 1)]
        core = np.logical_and.reduce(shifted)
    return np.asarray(inside & ~core, np.bool_)
