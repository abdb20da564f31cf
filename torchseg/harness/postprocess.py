"""Turns logits into classes and probabilities, for model files of this project and of others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SUM_ERROR = 1e-2  # tolerated in sums of probabilities that are stored in half precision or 8 bits


def labels_of(logits: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The most likely class of each pixel.

    With one output channel the classes are background (0) and object (1). Many public models output probabilities
    instead of logits: if all values lie in [0, 1], the threshold is 0.5, otherwise 0.

    Args:
        logits: logits or probabilities, `(B, K, H, W)`.

    Returns:
        Classes, `(B, H, W)`.

    Raises:
        ValueError: if a value is NaN or infinite, or there are more than 255 classes.
    """
    if not (np.isfinite(logits.min()) and np.isfinite(logits.max())):  # min and max are NaN if any value is
        raise ValueError("the file puts out NaN or infinity for a real image; export it at a wider precision")
    classes = logits.shape[1]
    if classes > 255:
        raise ValueError(f"the file has {classes} classes and masks hold at most 255; give a segmentation model")
    if classes > 1:
        return _largest(logits)
    return np.asarray(logits[:, 0] > (0.5 if _are_shares(logits) else 0.0), np.uint8)


def probabilities_of(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probability of each class, `(B, K, H, W)`; K is 2 if the logits have one channel.

    Softmax over classes, or sigmoid of a single channel. Values that are already probabilities stay unchanged.
    """
    if logits.shape[1] == 1:
        shares = logits if _are_shares(logits) else _sigmoid(logits)
        return np.concatenate([1 - shares, shares], axis=1)
    if _are_shares(logits) and np.abs(logits.sum(axis=1) - 1).max() <= _SUM_ERROR:
        return logits
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))


def resize_logits(logits: NDArray[np.float32], *, height: int, width: int) -> NDArray[np.float32]:
    """Logits `(B, K, h, w)` resized bilinearly to `(B, K, height, width)`, as public code does before the argmax."""
    if logits.shape[2:] == (height, width):
        return logits
    from PIL import Image

    planes = logits.reshape(-1, *logits.shape[2:])
    resized = [
        np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR)) for plane in planes
    ]
    return np.stack(resized).reshape(*logits.shape[:2], height, width)


def _largest(logits: NDArray[np.float32]) -> NDArray[np.uint8]:
    """`argmax(axis=1)`, ties to the first; one class at a time, because NumPy's argmax strides across the planes."""
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
