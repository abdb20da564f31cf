"""What is counted of one file's answers while pictures stream by; its size does not depend on their number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from torchseg.harness.measure.judgement import Judgement
from torchseg.metrics import BoundaryCounts, Counts, Overlap, ResampledCounts, ScoreCounts, overlap

Labels = NDArray[np.uint8]


class Tally:
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

    def add(self, judgement: Judgement) -> list[Overlap]:
        """Adds the next pictures and gives the scores of each."""
        self.counts += judgement.counts.sum(axis=0)
        self.resampled.add(judgement.counts)
        self.boundary = judgement.boundary if self.boundary is None else self.boundary + judgement.boundary
        self.scores = judgement.scores if self.scores is None else self.scores + judgement.scores
        each = [overlap(counts) for counts in judgement.counts]
        self.image_miou += [scores.miou for scores in each]
        return each

    def add_reference(self, labels: Labels, reference: Labels) -> None:
        """Compares a batch of answers with those of the model that the file was exported from."""
        self._agreeing += int(np.count_nonzero(labels == reference))
        self._compared += labels.size
