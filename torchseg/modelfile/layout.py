"""Tells channels-first from channels-last files, and turns arrays from one into the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Layout = Literal["NCHW", "NHWC"]
Number = TypeVar("Number", bound=np.generic)
_PICTURE_CHANNELS = (1, 3, 4)


def layout_of(shape: Sequence[int | None], *, usual: Layout) -> Layout:
    """Where the channels of a picture input lie.

    Args:
        shape: four sides as a file declares them, None where free.
        usual: what files of this kind have when the shape leaves it open.

    Raises:
        ValueError: if there are not four sides.
    """
    if len(shape) != 4:
        raise ValueError(f"the input has shape {list(shape)}; a network for pictures takes four sides, B, C, H and W")
    first, last = shape[1] in _PICTURE_CHANNELS, shape[3] in _PICTURE_CHANNELS
    if first == last:
        return usual
    return "NCHW" if first else "NHWC"


def to_layout(images: NDArray[Number], layout: Layout) -> NDArray[Number]:
    """`(B, C, H, W)` in the file's layout, contiguous."""
    return np.ascontiguousarray(images if layout == "NCHW" else images.transpose(0, 2, 3, 1))


def to_pixels(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Images whose values run from 0 to 255 as a file takes them that scales pictures by itself."""
    return np.asarray(np.clip(np.rint(images), 0, 255), np.uint8)


def from_layout(logits: NDArray[np.float32], layout: Layout, *, classes: int | None = None) -> NDArray[np.float32]:
    """Logits in the file's layout as `(B, K, H, W)`, contiguous.

    Args:
        logits: what the file gives; classes `(B, H, W)`, from a file that takes the argmax itself, become logits that
            are 1 for that class and 0 elsewhere.
        layout: of the file.
        classes: K, for a file that gives classes; unknown, it is one more than the largest that occurs.

    Raises:
        ValueError: for `(B, H, W)` values that are no classes.
    """
    if logits.ndim == 3:
        if not np.all((logits >= 0) & (logits == np.rint(logits))):
            raise ValueError("the file gives one number a pixel that is no class; export its logits as (B, K, H, W)")
        count = classes or int(logits.max()) + 1
        return np.asarray(np.arange(count)[:, None, None] == logits[:, None], np.float32)
    return np.ascontiguousarray(logits if layout == "NCHW" else logits.transpose(0, 3, 1, 2))
