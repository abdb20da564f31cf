"""Precision against recall of every class, from histograms of its probability: memory does not grow with the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Bins are even in log-odds, not in probability: a trained network says 0.001 and 0.999 far more often than 0.5.
_LIMIT = 12.0
_BINS = 480


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoreCounts:
    """Pixels by the probability that they were given for a class, `(K, bins)` each, improbable ones first.

    Add counts to stream over a data set.

    Attributes:
        inside: pixels of the class.
        outside: pixels of other classes.
    """

    inside: NDArray[np.int64]
    outside: NDArray[np.int64]

    def __add__(self, other: ScoreCounts) -> ScoreCounts:
        return ScoreCounts(inside=self.inside + other.inside, outside=self.outside + other.outside)


@dataclass(frozen=True, kw_only=True, eq=False)
class PrecisionRecall:
    """One class told from all others at falling thresholds; empty for a class that never occurs.

    Attributes:
        threshold: a pixel counts as found where its probability is at least this.
        precision: share of the found pixels that belong to the class.
        recall: share of the class that is found, rising.
        average_precision: precision averaged over recall (the sum of precision times the step of recall); NaN for a
            class that never occurs.
    """

    threshold: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    average_precision: float


def score_counts(probabilities: NDArray[np.float32], mask: NDArray[np.integer], *, num_classes: int) -> ScoreCounts:
    """Sorts the known pixels of some pictures into bins, for every class.

    Args:
        probabilities: `(B, C, H, W)` in [0, 1]; classes beyond `num_classes` are left out, missing ones count as
            probability 0.
        mask: true classes, `(B, H, W)`; a value outside `[0, num_classes)` leaves its pixel out.
        num_classes: K.

    Raises:
        ValueError: if the shapes do not fit.
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
    """The curve of every class, `(K,)`, a point per bin that holds a pixel."""
    return [_curve(inside, outside) for inside, outside in zip(counts.inside, counts.outside, strict=True)]


def thresholds() -> NDArray[np.float64]:
    """Lower edge of every bin as a probability, `(bins,)`; the first holds everything below it as well."""
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
    used = np.flatnonzero(inside + outside)[::-1]  # probable first
    hits, alarms = inside[used].cumsum(), outside[used].cumsum()
    precision, recall = hits / (hits + alarms), hits / hits[-1]
    steps = np.diff(recall, prepend=0.0)
    return PrecisionRecall(
        threshold=thresholds()[used],
        precision=precision,
        recall=recall,
        average_precision=float((precision * steps).sum()),
    )
