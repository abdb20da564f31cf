"""Counts first, ratios once, at the end."""

from torchseg.metrics.confusion import Counts, confusion_matrix
from torchseg.metrics.overlap import Overlap, overlap

__all__ = ["Counts", "Overlap", "confusion_matrix", "overlap"]
