"""Confusion matrices: pixel counts per pair of true and predicted class, from which most scores are computed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


def confusion_matrix(labels: NDArray[np.integer], mask: NDArray[np.integer], *, num_classes: int) -> Counts:
    """Counts pixels by true class (row) and predicted class (column); add matrices to accumulate over a data set.

    Args:
        labels: predicted classes, any shape, values in `[0, num_classes)`.
        mask: true classes, same shape; pixels with a value outside `[0, num_classes)` are ignored.
        num_classes: K.

    Returns:
        int64 counts, `(K, K)`.

    Raises:
        ValueError: if the shapes differ or a predicted class is out of range on a counted pixel.
    """
    return np.asarray(confusion_matrices(labels[None], mask[None], num_classes=num_classes)[0])


def confusion_matrices(labels: NDArray[np.integer], masks: NDArray[np.integer], *, num_classes: int) -> Counts:
    """One confusion matrix per image, int64 `(B, K, K)`, from arrays `(B, ...)`; otherwise like `confusion_matrix`."""
    if labels.shape != masks.shape:
        raise ValueError(f"labels are {labels.shape[1:]} and the mask is {masks.shape[1:]}; both must have one shape")
    counted = (masks >= 0) & (masks < num_classes)
    predicted = labels[counted].astype(np.int64)
    if predicted.size and not 0 <= predicted.min() <= predicted.max() < num_classes:
        raise ValueError(f"a predicted class is outside [0, {num_classes}); the network has other classes")
    pictures = len(masks)
    per_picture = counted.reshape(pictures, -1).sum(axis=1)
    cells = np.repeat(np.arange(pictures), per_picture) * num_classes**2 + masks[counted].astype(np.int64) * num_classes
    counts = np.bincount(cells + predicted, minlength=pictures * num_classes**2)
    return counts.astype(np.int64).reshape(pictures, num_classes, num_classes)
