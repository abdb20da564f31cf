"""What is counted of one file's answers while pictures stream by; its size does not depend on their number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from torchseg.harness.postprocess import labels_of, probabilities_of
from torchseg.metrics import (
    BoundaryCounts,
    Counts,
    Overlap,
    ResampledCounts,
    ScoreCounts,
    boundary_counts,
    confusion_matrices,
    overlap,
    score_counts,
)

Labels = NDArray[np.uint8]


class MetricAccumulator:
    """Counts of one file.

    Attributes:
        counts: confusion matrix `(K, K)`, rows are the truth.
        resampled: the same for data sets drawn from the pictures, which says how sure a score is.
        boundary: bands along the contours; None before the first picture.
        scores: pixels by probability; None before the first picture.
        image_miou: mean IoU of each picture, in the order of the samples: one number per picture is all that is kept.
    """

    def __init__(self, num_classes: int) -> None:
        self.counts: Counts = np.zeros((num_classes, num_classes), np.int64)
        self.resampled = ResampledCounts(num_classes)
        self.boundary: BoundaryCounts | None = None
        self.scores: ScoreCounts | None = None
        self.image_miou: list[float] = []
        self._agreeing = self._compared = 0

    @property
    def agreement(self) -> float | None:
        """Share of pixels whose class equals the reference's; None if nothing was compared."""
        return self._agreeing / self._compared if self._compared else None

    def add(self, batch_counts: BatchCounts) -> list[Overlap]:
        """Adds the next pictures and gives the scores of each."""
        self.counts += batch_counts.counts.sum(axis=0)
        self.resampled.add(batch_counts.counts)
        self.boundary = batch_counts.boundary if self.boundary is None else self.boundary + batch_counts.boundary
        self.scores = batch_counts.scores if self.scores is None else self.scores + batch_counts.scores
        each = [overlap(counts) for counts in batch_counts.counts]
        self.image_miou += [scores.miou for scores in each]
        return each

    def add_reference(self, labels: Labels, reference: Labels) -> None:
        """Compares a batch of answers with those of the model that the file was exported from."""
        self._agreeing += int(np.count_nonzero(labels == reference))
        self._compared += labels.size


@dataclass(frozen=True, kw_only=True, eq=False)
class BatchCounts:
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


def evaluate_batch(logits: NDArray[np.float32], masks: Labels, *, num_classes: int) -> BatchCounts:
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
    return BatchCounts(
        labels=labels,
        counts=confusion_matrices(labels, masks, num_classes=num_classes),
        boundary=boundary_counts(labels, masks, num_classes=num_classes),
        scores=score_counts(probabilities_of(logits), masks, num_classes=num_classes),
    )
