"""Finds out whether a file is channels-first or channels-last, and converts arrays between the two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Layout = Literal["NCHW", "NHWC"]
Number = TypeVar("Number", bound=np.generic)
_PICTURE_CHANNELS = (1, 3, 4)


def layout_of(shape: Sequence[int | None], *, usual: Layout) -> Layout:
    """Layout of an image input.

    Args:
        shape: input shape as the file declares it, four sides, None for a dynamic dimension.
        usual: usual layout of this kind of file, returned if the shape does not decide.

    Raises:
        ValueError: if there are not four sides.
    """
    if len(shape) != 4:
        raise ValueError(f"the input has shape {list(shape)}; a network for images takes four sides, B, C, H and W")
    first, last = shape[1] in _PICTURE_CHANNELS, shape[3] in _PICTURE_CHANNELS
    if first == last:
        return usual
    return "NCHW" if first else "NHWC"


def to_layout(images: NDArray[Number], layout: Layout) -> NDArray[Number]:
    """Converts images `(B, C, H, W)` to the file's layout, contiguous."""
    return np.ascontiguousarray(images if layout == "NCHW" else images.transpose(0, 2, 3, 1))


def to_pixels(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Rounds float images in [0, 255] to uint8, same shape, for a file that normalises its input itself."""
    return np.asarray(np.clip(np.rint(images), 0, 255), np.uint8)


def from_layout(logits: NDArray[np.float32], layout: Layout, *, classes: int | None = None) -> NDArray[np.float32]:
    """Converts a file's output to logits `(B, K, H, W)`, contiguous.

    Args:
        logits: output of the file: logits in its layout, or classes `(B, H, W)` if it takes the argmax itself; classes
            become one-hot logits.
        layout: layout of the file.
        classes: K, for a file that outputs classes; None takes the largest class that occurs plus one.

    Raises:
        ValueError: if `(B, H, W)` values are not classes.
    """
    if logits.ndim == 3:
        if not np.all((logits >= 0) & (logits == np.rint(logits))):
            raise ValueError(
                "the file gives one number per pixel that is not a class; export its logits as (B, K, H, W)"
            )
        count = classes or int(logits.max()) + 1
        return np.asarray(np.arange(count)[:, None, None] == logits[:, None], np.float32)
    return np.ascontiguousarray(logits if layout == "NCHW" else logits.transpose(0, 3, 1, 2))
