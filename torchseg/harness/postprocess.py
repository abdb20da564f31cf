"""From logits to classes and probabilities, for files of this project and of others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SUM_ERROR = 1e-2  # of what half precision or 8-bit codes make of probabilities that sum to 1


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
    if not (np.isfinite(logits.min()) and np.isfinite(logits.max())):  # both are NaN where any value is
        raise ValueError("the file puts out NaN or infinity for a real picture; export it at a wider precision")
    classes = logits.shape[1]
    if classes > 255:
        raise ValueError(
            f"the file tells {classes} classes apart and masks hold at most 255; give a segmentation model"
        )
    if classes > 1:
        return _largest(logits)
    return np.asarray(logits[:, 0] > (0.5 if _are_shares(logits) else 0.0), np.uint8)


def probabilities_of(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """The share of belief in every class, `(B, K, H, W)`; `K` is 2 for a file with one output channel.

    Softmax over classes, or the sigmoid of a single channel; a file that puts out probabilities is taken at its word.
    """
    if logits.shape[1] == 1:
        shares = logits if _are_shares(logits) else _sigmoid(logits)
        return np.concatenate([1 - shares, shares], axis=1)
    if _are_shares(logits) and np.abs(logits.sum(axis=1) - 1).max() <= _SUM_ERROR:
        return logits
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))


def resize_logits(logits: NDArray[np.float32], *, height: int, width: int) -> NDArray[np.float32]:
    """Logits brought to another size, bilinear, as public code does before it takes the argmax; `(B, K, H, W)`."""
    if logits.shape[2:] == (height, width):
        return logits
    from PIL import Image

    planes = logits.reshape(-1, *logits.shape[2:])
    resized = [
        np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR)) for plane in planes
    ]
    return np.stack(resized).reshape(*logits.shape[:2], height, width)


def _largest(logits: NDArray[np.float32]) -> NDArray[np.uint8]:
    """`argmax(axis=1)`, the first of equals; class by class, because NumPy's own strides from plane to plane."""
    best = logits[:, 0].copy()
    labels = np.zeros(best.shape, np.uint8)
    for index in range(1, logits.shape[1]):
        plane = logits[:, index]
        labels[plane > best] = index
        np.maximum(best, plane, out=best)
    return labels


def _are_shares(values: NDArray[np.float32]) -> bool:
    return bool(values.min() >= 0 and values.max() <= 1)


def _sigmoid(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -60, 60))))
