"""Boundary IoU: overlap near contours only, which shows small errors that plain IoU hides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_DILATION = 0.02  # width of the band as a share of the image diagonal, as in the source


@dataclass(frozen=True, kw_only=True, eq=False)
class BoundaryCounts:
    """Pixel counts per class, `(K,)` each; add the counts of batches to accumulate over a data set.

    A band is the set of pixels of a class near its contour.

    Attributes:
        both: pixels in the band of the truth and in that of the prediction.
        either: pixels in at least one of the two bands.
        truth: pixels in the band of the truth.
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
        """Mean boundary IoU over the classes that occur in the truth, in [0, 1]; NaN if none does."""
        occurs = self.truth > 0
        return float((self.both[occurs] / self.either[occurs]).mean()) if occurs.any() else float("nan")


def boundary_counts(labels: NDArray[np.integer], mask: NDArray[np.integer], *, num_classes: int) -> BoundaryCounts:
    """Counts the pixels near the contours of every class.

    Source: arXiv:2103.16562, equation 3. The band has a width of 2 % of the diagonal, at least one pixel, and lies
    inside the class. The edge of the image is a contour too, as in the source. Ignored pixels belong to neither band.

    Args:
        labels: predicted classes of one image `(H, W)` or of several `(B, H, W)`, 0 to 255.
        mask: true classes, same shape; pixels with a value outside `[0, num_classes)` are ignored.
        num_classes: K.

    Raises:
        ValueError: if the shapes differ.
    """
    if labels.shape != mask.shape or labels.ndim not in (2, 3):
        raise ValueError(f"labels are {labels.shape} and the mask is {mask.shape}; both must be (H, W) or (B, H, W)")
    width = max(1, round(_DILATION * float(np.hypot(*mask.shape[-2:]))))
    known = (mask >= 0) & (mask < num_classes)
    found = np.asarray(labels, np.uint8)
    # Ignored pixels take the predicted class in the truth too, so that they create no contour there.
    in_truth = _band(np.where(known, mask, found).astype(np.uint8), width) & known
    in_found = _band(found, width) & known

    def count(values: NDArray[np.integer], where: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(values[where], minlength=256)[:num_classes].astype(np.int64)

    truth = count(mask, in_truth)
    both = count(mask, in_truth & in_found & (mask == found))
    return BoundaryCounts(both=both, either=truth + count(found, in_found) - both, truth=truth)


def _band(classes: NDArray[np.uint8], width: int) -> NDArray[np.bool_]:
    """Pixels `(..., H, W)` at most `width` steps, diagonals included, from another class or the edge of the image.

    Each pixel has one class, so comparing the smallest and largest class in its neighbourhood covers all classes.
    """
    padding = [(0, 0)] * (classes.ndim - 2) + [(width, width)] * 2
    # The padding holds 0 for the minimum and 255 for the maximum, so that pixels near the edge always differ.
    lowest = _filtered(np.pad(classes, padding, constant_values=0), np.minimum, width)
    highest = _filtered(np.pad(classes, padding, constant_values=255), np.maximum, width)
    return np.asarray(lowest != highest, np.bool_)


def _filtered(padded: NDArray[np.uint8], smaller_or_larger: np.ufunc, width: int) -> NDArray[np.uint8]:
    """Minimum or maximum in the square window of side `2 * width + 1` around every pixel; removes the padding."""
    window = 2 * width + 1
    for axis in (-1, -2):  # the filter is separable: one axis after the other
        rows = padded.swapaxes(axis, -1)
        reach = 1
        while reach < window:  # each step doubles the number of neighbours covered
            step = min(reach, window - reach)
            rows = smaller_or_larger(rows[..., :-step], rows[..., step:])
            reach += step
        padded = rows.swapaxes(axis, -1)
    return padded
