"""Turns logits into classes and probabilities, for model files of this project and of others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SUM_ERROR = 1e-2  # tolerated in sums of probabilities that are stored in half precision or 8 bits
_TOLERANCE = 1e-3  # by which rounded values may leave their range, as a share of it
_LEAST_MASK_VALUE = 127.5  # the threshold of an object; values up to 100 may be per cent


class ValueKind:
    """What the values of one file mean; decided by the first images that show it, and held to from then on.

    Attributes:
        name: `logit`, `probability` or `mask255`; empty until it is decided.
    """

    def __init__(self, name: str = "") -> None:
        self.name = "" if name == "classes" else name  # classes come as scores of 0 and 1: see `OutputReader`
        self._is_given = bool(name)

    def of(self, scores: NDArray[np.float32]) -> str:
        """The kind by which to read these scores `(B, K, H, W)` of the file.

        Raises:
            ValueError: if a single channel has values of no known kind, or of another kind than those before.
        """
        if self._is_given:
            return self.name or "probability"
        if scores.shape[1] > 1 or not self.name:
            found = kind_of_values(scores)
            self.name = self.name or (found if scores.shape[1] > 1 or _shows_kind(scores) else "")
            return self.name or found
        highest = {"logit": np.inf, "probability": 1.0, "mask255": 255.0}[self.name] * (1 + _TOLERANCE)
        if scores.max() > highest or (self.name != "logit" and scores.min() < -_TOLERANCE):
            raise ValueError(
                f"the file's first values were of the kind {self.name}, and now they run from {scores.min():.6g} to "
                f"{scores.max():.6g}; say what they are: --output_kind"
            )
        return self.name


def kind_of_values(scores: NDArray[np.float32]) -> str:
    """What scores `(B, K, H, W)` mean, by their range: `logit`, `probability` or, for one channel, `mask255`.

    Raises:
        ValueError: if a single channel has positive values that are neither probabilities nor run up to 255.
    """
    low, high = float(scores.min()), float(scores.max())
    within_one = low >= -_TOLERANCE and high <= 1 + _TOLERANCE
    if scores.shape[1] > 1:
        is_probability = within_one and np.abs(scores.sum(axis=1) - 1).max() <= _SUM_ERROR
        return "probability" if is_probability else "logit"
    if within_one:
        return "probability"
    if low < -_TOLERANCE:
        return "logit"
    if _LEAST_MASK_VALUE <= high <= 255 * (1 + _TOLERANCE):
        return "mask255"
    raise ValueError(
        f"the file's single channel has values from {low:.6g} to {high:.6g}, which may be logits or a mask from 0 to "
        "255 without an object; say which: --output_kind"
    )


def _shows_kind(scores: NDArray[np.float32]) -> bool:
    """Whether one channel shows its kind: values from 0 to 0.5 are background as a probability and in a mask alike."""
    return bool(scores.min() < -_TOLERANCE or scores.max() > 0.5)


def labels_of(logits: NDArray[np.float32], *, kind: str = "") -> NDArray[np.uint8]:
    """The most likely class of each pixel.

    With one output channel the classes are background (0) and object (1). Many public models output probabilities, or
    masks from 0 to 255, instead of logits: the threshold is 0.5, 127.5 or 0.

    Args:
        logits: logits or probabilities, `(B, K, H, W)`.
        kind: of the values, see `ValueKind`; empty decides by these values alone.

    Returns:
        Classes, `(B, H, W)`.

    Raises:
        ValueError: if a value is NaN or infinite, there are more than 255 classes, or the kind is unclear.
    """
    check_finite(logits)
    classes = logits.shape[1]
    if classes > 255:
        raise ValueError(f"the file has {classes} classes and masks hold at most 255; give a segmentation model")
    if classes > 1:
        return _largest(logits)
    threshold = {"probability": 0.5, "mask255": 127.5, "logit": 0.0}[kind or kind_of_values(logits)]
    return np.asarray(logits[:, 0] > threshold, np.uint8)


def probabilities_of(logits: NDArray[np.float32], *, kind: str = "") -> NDArray[np.float32]:
    """Probability of each class, `(B, K, H, W)`; K is 2 if the logits have one channel.

    Softmax over classes, or sigmoid of a single channel. Values that are already probabilities stay as they are, or are
    divided by their sum if that is not 1. The kind is as for `labels_of`.
    """
    kind = kind or kind_of_values(logits)
    shares = np.asarray(logits / 255 if kind == "mask255" else logits, np.float32)
    if logits.shape[1] == 1:
        shares = _sigmoid(logits) if kind == "logit" else np.clip(shares, 0, 1)
        return np.concatenate([1 - shares, shares], axis=1)
    if kind != "logit":
        total = shares.sum(axis=1, keepdims=True)
        return shares if np.abs(total - 1).max() <= _SUM_ERROR else np.asarray(shares / np.maximum(total, 1e-9))
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))


def check_finite(logits: NDArray[np.float32]) -> None:
    """Raises ValueError if a value is NaN or infinite."""
    if not (np.isfinite(logits.min()) and np.isfinite(logits.max())):  # min and max are NaN if any value is
        raise ValueError("the file puts out NaN or infinity for a real image; export it at a wider precision")


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


def _sigmoid(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -60, 60))))
