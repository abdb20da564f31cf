"""Metrics: pixel counts are accumulated over a data set, and scores are computed from them once, at the end."""

from torchseg.metrics.boundary import BoundaryCounts, boundary_counts
from torchseg.metrics.confusion import Counts, confusion_matrices, confusion_matrix
from torchseg.metrics.overlap import Overlap, overlap
from torchseg.metrics.precision_recall import PrecisionRecall, ScoreCounts, precision_recall, score_counts
from torchseg.metrics.resampled import MiouDifference, ResampledCounts, miou_difference

__all__ = [
    "BoundaryCounts",
    "Counts",
    "MiouDifference",
    "Overlap",
    "PrecisionRecall",
    "ResampledCounts",
    "ScoreCounts",
    "boundary_counts",
    "confusion_matrices",
    "confusion_matrix",
    "miou_difference",
    "overlap",
    "precision_recall",
    "score_counts",
]
