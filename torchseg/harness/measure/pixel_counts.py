"""Metric accumulator for the predictions of one file; its size hardly grows with the number of images."""

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
_SEEN = 0.01  # share of the known pixels: the IoU of fewer says little


class MetricAccumulator:
    """Accumulates the pixel counts of one file over batches.

    Attributes:
        counts: confusion matrix `(K, K)`, rows are the true classes.
        resampled: confusion matrices of bootstrap samples of the images, for confidence intervals.
        boundary: counts in the bands along the contours; None before the first batch.
        scores: pixels by predicted probability; None before the first batch.
        image_miou: mean IoU of each image, in the order of the samples; the only value kept per image.
        class_worst: lowest IoU of each class in one image, and the index of that image; only images count in which the
            class covers at least `_SEEN` of the known pixels.
    """

    def __init__(self, num_classes: int) -> None:
        self.counts: Counts = np.zeros((num_classes, num_classes), np.int64)
        self.resampled = ResampledCounts(num_classes)
        self.boundary: BoundaryCounts | None = None
        self.scores: ScoreCounts | None = None
        self.image_miou: list[float] = []
        self.class_worst: dict[int, tuple[float, int]] = {}
        self._agreeing = self._compared = 0

    @property
    def agreement(self) -> float | None:
        """Share of pixels with the same class as the reference, in [0, 1]; None if nothing was compared."""
        return self._agreeing / self._compared if self._compared else None

    def add(self, batch_counts: BatchCounts) -> list[Overlap]:
        """Adds a batch and returns the scores of each of its images."""
        self.counts += batch_counts.counts.sum(axis=0)
        self.resampled.add(batch_counts.counts)
        self.boundary = batch_counts.boundary if self.boundary is None else self.boundary + batch_counts.boundary
        self.scores = batch_counts.scores if self.scores is None else self.scores + batch_counts.scores
        each = [overlap(counts) for counts in batch_counts.counts]
        for counts, scores in zip(batch_counts.counts, each, strict=True):
            self._note_worst(counts, scores, len(self.image_miou))
            self.image_miou.append(scores.miou)
        return each

    def _note_worst(self, counts: Counts, scores: Overlap, image: int) -> None:
        pixels = counts.sum(axis=1)
        for at in np.flatnonzero(pixels >= max(1.0, _SEEN * pixels.sum())):
            iou = float(scores.iou[at])
            if iou < self.class_worst.get(int(at), (np.inf, 0))[0]:
                self.class_worst[int(at)] = (iou, image)

    def add_reference(self, labels: Labels, reference: Labels) -> None:
        """Compares classes `(B, H, W)` with those of the model that the file was exported from."""
        self._agreeing += int(np.count_nonzero(labels == reference))
        self._compared += labels.size


@dataclass(frozen=True, kw_only=True, eq=False)
class BatchCounts:
    """The predictions for a batch, and their pixel counts.

    Attributes:
        labels: predicted classes `(B, H, W)`.
        counts: confusion matrix of each image, `(B, K, K)`, rows are the true classes.
        boundary: counts in the bands along the contours, over the batch.
        scores: pixels by predicted probability, over the batch.
    """

    labels: Labels
    counts: Counts
    boundary: BoundaryCounts
    scores: ScoreCounts


def evaluate_batch(logits: NDArray[np.float32], masks: Labels, *, num_classes: int, kind: str = "") -> BatchCounts:
    """Counts the pixels of logits `(B, K, H, W)` against masks `(B, H, W)`; one channel stands for two classes.

    The kind of the values is as for `labels_of`.

    Raises:
        ValueError: if a value is NaN or infinite, or the classes do not match `num_classes`.
    """
    check_output_channels(logits.shape[1], num_classes)
    labels = labels_of(logits, kind=kind)  # rejects NaN and infinity
    return BatchCounts(
        labels=labels,
        counts=confusion_matrices(labels, masks, num_classes=num_classes),
        boundary=boundary_counts(labels, masks, num_classes=num_classes),
        scores=score_counts(probabilities_of(logits, kind=kind), masks, num_classes=num_classes),
    )


def check_output_channels(channels: int, num_classes: int) -> None:
    """Raises ValueError for a single output channel unless there are two classes."""
    if channels == 1 and num_classes != 2:
        raise ValueError(
            f"the file has one output channel, which means two classes, and the data has {num_classes}; "
            "export logits of every class"
        )
