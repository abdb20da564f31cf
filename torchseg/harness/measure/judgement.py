"""What a batch of answers is worth, counted where the answers are made: every core takes its share of the counting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from torchseg.harness.postprocess import labels_of, probabilities_of
from torchseg.metrics import BoundaryCounts, Counts, ScoreCounts, boundary_counts, confusion_matrices, score_counts

Labels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, eq=False)
class Judgement:
    """Answers to some pictures, and their pixels counted.

    Attributes:
        labels: classes `(B, H, W)`.
        counts: confusion matrix of every picture, `(B, K, K)`, rows are the truth.
        boundary: bands along the contours, of all pictures together.
        scores: pixels by probability, of all pictures together.
    """

    labels: Labels
    counts: Counts
    boundary: BoundaryCounts
    scores: ScoreCounts


def judge(logits: NDArray[np.float32], masks: Labels, *, num_classes: int) -> Judgement:
    """Holds logits `(B, C, H, W)` against masks `(B, H, W)`.

    Raises:
        ValueError: if a value is NaN or infinite, or a class is none of the K.
    """
    if logits.shape[1] == 1 and num_classes != 2:
        raise ValueError(
            f"the file has one output channel, which tells two classes apart, and the data has {num_classes}; "
            "export logits of every class"
        )
    labels = labels_of(logits)  # refuses values that make no probabilities
    return Judgement(
        labels=labels,
        counts=confusion_matrices(labels, masks, num_classes=num_classes),
        boundary=boundary_counts(labels, masks, num_classes=num_classes),
        scores=score_counts(probabilities_of(logits), masks, num_classes=num_classes),
    )
