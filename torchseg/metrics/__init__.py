"""Counts first, ratios once, at the end."""

from torchseg.metrics.boundary import BoundaryCounts, boundary_counts
from torchseg.metrics.confusion import Counts, confusion_matrix
from torchseg.metrics.overlap import Overlap, overlap

__all__ = ["BoundaryCounts", "Counts", "Overlap", "boundary_counts", "confusion_matrix", "overlap"]
