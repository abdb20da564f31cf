"""Pixel counts per pair of true and predicted class: every score of this project comes from these."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


def confusion_matrix(labels: NDArray[np.integer], mask: NDArray[np.integer], *, num_classes: int) -> Counts:
    """Counts pixels by true class (row) and predicted class (column); add matrices to stream over a data set.

    Args:
        labels: predicted classes, any shape, values in `[0, num_classes)`.
        mask: true classes, same shape; a value outside `[0, num_classes)` leaves its pixel out.
        num_classes: K.

    Returns:
        int64 counts, `(K, K)`.

    Raises:
        ValueError: if the shapes differ or a predicted class is out of range on a counted pixel.
    """
    if labels.shape != mask.shape:
        raise ValueError(f"labels are {labels.shape} and the mask is {mask.shape}; both must have one shape")
    true = np.asarray(mask, np.int64).ravel()
    counted = (true >= 0) & (true < num_classes)
    true = true[counted]
    predicted = np.asarray(labels, np.int64).ravel()[counted]
    if predicted.size and not 0 <= predicted.min() <= predicted.max() < num_classes:
        raise ValueError(f"a predicted class is outside [0, {num_classes}); the network has other classes")
    counts = np.bincount(true * num_classes + predicted, minlength=num_classes**2)
    return counts.astype(np.int64).reshape(num_classes, num_classes)
