"""Tells channels-first from channels-last files, and turns arrays from one into the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Layout = Literal["NCHW", "NHWC"]
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


def to_layout(images: NDArray[np.float32], layout: Layout) -> NDArray[np.float32]:
    """`(B, C, H, W)` in the file's layout, contiguous."""
    return np.ascontiguousarray(images if layout == "NCHW" else images.transpose(0, 2, 3, 1))


def from_layout(logits: NDArray[np.float32], layout: Layout) -> NDArray[np.float32]:
    """Logits in the file's layout as `(B, K, H, W)`, contiguous."""
    return np.ascontiguousarray(logits if layout == "NCHW" else logits.transpose(0, 3, 1, 2))
