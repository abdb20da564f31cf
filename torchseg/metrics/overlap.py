"""IoU, Dice, precision and recall from an accumulated confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from torchseg.metrics.confusion import Counts

Ratios = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Scores per class, `(K,)` each, and their means; all values are in [0, 1].

    A class that never occurs in the truth scores NaN and is left out of the means. `precision` is also NaN for a class
    that occurs but is never predicted; it then counts as 0 in the mean. The means are NaN if every pixel is ignored.
    """

    iou: Ratios
    dice: Ratios
    precision: Ratios
    recall: Ratios
    pixel_accuracy: float
    miou: float
    mean_dice: float
    mean_precision: float
    mean_recall: float


def overlap(counts: Counts) -> Overlap:
    """Computes the scores of one confusion matrix, `(K, K)` with the true classes in rows.

    Dice = 2 TP / (2 TP + FP + FN) = 2 IoU / (1 + IoU).
    """
    hits = np.diag(counts).astype(np.float64)
    truth = counts.sum(axis=1).astype(np.float64)
    found = counts.sum(axis=0).astype(np.float64)
    occurs = truth > 0
    iou = _ratio(hits, truth + found - hits, occurs)
    dice = _ratio(2 * hits, truth + found, occurs)
    precision = _ratio(hits, found, occurs & (found > 0))
    recall = _ratio(hits, truth, occurs)
    return Overlap(
        iou=iou,
        dice=dice,
        precision=precision,
        recall=recall,
        pixel_accuracy=float(hits.sum() / truth.sum()) if truth.sum() else float("nan"),
        miou=_mean(iou, occurs),
        mean_dice=_mean(dice, occurs),
        mean_precision=_mean(np.nan_to_num(precision), occurs),
        mean_recall=_mean(recall, occurs),
    )


def _ratio(numerator: Ratios, denominator: Ratios, defined: NDArray[np.bool_]) -> Ratios:
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=defined)


def _mean(values: Ratios, occurs: NDArray[np.bool_]) -> float:
    return float(values[occurs].mean()) if occurs.any() else float("nan")
