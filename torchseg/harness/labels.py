"""From logits to classes, for files of this project and of others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def labels_of(logits: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The most likely class of every pixel.

    A file with one output channel tells background (0) from object (1). It may put out probabilities, as many public
    models do, or logits: when no value leaves [0, 1] the line is drawn at 0.5, else at 0.

    Args:
        logits: `(B, K, H, W)`.

    Returns:
        Classes, `(B, H, W)`.

    Raises:
        ValueError: if a value is NaN or infinite, or there are more classes than a mask can name.
    """
    if not np.isfinite(logits).all():
        raise ValueError("the file puts out NaN or infinity for a real picture; export it at a wider precision")
    classes = logits.shape[1]
    if classes > 255:
        raise ValueError(
            f"the file tells {classes} classes apart and masks hold at most 255; give a segmentation model"
        )
    if classes > 1:
        return np.asarray(logits.argmax(axis=1), np.uint8)
    is_probability = logits.min() >= 0 and logits.max() <= 1
    return np.asarray(logits[:, 0] > (0.5 if is_probability else 0.0), np.uint8)
