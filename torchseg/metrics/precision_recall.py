"""Precision-recall curve of every class, from histograms of its probability; memory does not grow with the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Bins are even in log-odds, not in probability: a trained network predicts 0.001 and 0.999 far more often than 0.5.
_LIMIT = 12.0
_BINS = 480


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoreCounts:
    """Histograms of the predicted probability of each class, `(K, bins)` each, lowest probability first.

    Add the counts of batches to accumulate over a data set.

    Attributes:
        inside: counts of pixels that belong to the class.
        outside: counts of pixels of other classes.
    """

    inside: NDArray[np.int64]
    outside: NDArray[np.int64]

    def __add__(self, other: ScoreCounts) -> ScoreCounts:
        return ScoreCounts(inside=self.inside + other.inside, outside=self.outside + other.outside)


@dataclass(frozen=True, kw_only=True, eq=False)
class PrecisionRecall:
    """Precision-recall curve of one class against all others, `(points,)` each; empty if the class never occurs.

    Attributes:
        threshold: probability from which on a pixel counts as found, descending.
        precision: share of the found pixels that belong to the class.
        recall: share of the pixels of the class that are found, ascending.
        average_precision: precision averaged over recall (the sum of precision times the step of recall); NaN for a
            class that never occurs.
    """

    threshold: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    average_precision: float


def score_counts(probabilities: NDArray[np.float32], mask: NDArray[np.integer], *, num_classes: int) -> ScoreCounts:
    """Counts the valid pixels of a batch per class and probability bin.

    Args:
        probabilities: `(B, C, H, W)` in [0, 1]; classes beyond `num_classes` are ignored, and missing classes have
            probability 0.
        mask: true classes, `(B, H, W)`; pixels with a value outside `[0, num_classes)` are ignored.
        num_classes: K.

    Raises:
        ValueError: if the shapes do not match.
    """
    batch, classes, height, width = probabilities.shape
    if mask.shape != (batch, height, width):
        raise ValueError(f"probabilities are {probabilities.shape} and the mask is {mask.shape}; sides must be equal")
    known = (mask >= 0) & (mask < num_classes)
    truth = mask[known]  # (N,)
    counts = np.zeros((num_classes, 2, _BINS), np.int64)
    for index in range(num_classes):
        shares = probabilities[:, index][known] if index < classes else np.zeros(len(truth), np.float32)
        cells = _bin(shares) + _BINS * (truth == index)
        counts[index] = np.bincount(cells, minlength=2 * _BINS).reshape(2, _BINS)
    return ScoreCounts(inside=counts[:, 1], outside=counts[:, 0])


def precision_recall(counts: ScoreCounts) -> list[PrecisionRecall]:
    """One curve per class, K in all, with one point per bin that is not empty."""
    return [_curve(inside, outside) for inside, outside in zip(counts.inside, counts.outside, strict=True)]


def thresholds() -> NDArray[np.float64]:
    """Lower edge of every bin as a probability, `(bins,)`, starting at 0."""
    edges = -_LIMIT + 2 * _LIMIT / _BINS * np.arange(_BINS)
    edges[0] = -np.inf
    return np.asarray(1 / (1 + np.exp(-edges)))


def _bin(shares: NDArray[np.float32]) -> NDArray[np.int64]:
    with np.errstate(divide="ignore"):
        odds = np.log(shares) - np.log1p(-shares)  # -inf for 0, inf for 1
    places = np.clip((odds + np.float32(_LIMIT)) * np.float32(_BINS / (2 * _LIMIT)), 0, _BINS - 1)
    return np.asarray(places, np.int64)


def _curve(inside: NDArray[np.int64], outside: NDArray[np.int64]) -> PrecisionRecall:
    if not inside.sum():
        empty = np.zeros(0)
        return PrecisionRecall(threshold=empty, precision=empty, recall=empty, average_precision=float("nan"))
    used = np.flatnonzero(inside + outside)[::-1]  # highest probability first
    hits, alarms = inside[used].cumsum(), outside[used].cumsum()
    precision, recall = hits / (hits + alarms), hits / hits[-1]
    steps = np.diff(recall, prepend=0.0)
    return PrecisionRecall(
        threshold=thresholds()[used],
        precision=precision,
        recall=recall,
        average_precision=float((precision * steps).sum()),
    )
