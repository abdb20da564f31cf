"""Finds out whether a file takes images channels-first or channels-last, and converts images to that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Layout = Literal["NCHW", "NHWC"]
Number = TypeVar("Number", bound=np.generic)
_PICTURE_CHANNELS = (1, 3, 4)
_MOST_BANDS = 32


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
    if first == last and None in (shape[1], shape[3]):
        first, last = shape[1] is not None, shape[3] is not None  # heights and widths vary, channels do not
    elif first == last and not first:
        first, last = (_is_bands(shape[at], [*shape[1:at], *shape[at + 1 :]]) for at in (1, 3))
    if first == last:
        return usual
    return "NCHW" if first else "NHWC"


def _is_bands(side: int | None, others: Sequence[int | None]) -> bool:
    """Whether a side may be the channels of a multispectral image: few, and less than both sides of the image."""
    return side is not None and side <= _MOST_BANDS and all(other is not None and side < other for other in others)


def to_layout(images: NDArray[Number], layout: Layout) -> NDArray[Number]:
    """Converts images `(B, C, H, W)` to the file's layout, contiguous."""
    return np.ascontiguousarray(images if layout == "NCHW" else images.transpose(0, 2, 3, 1))


def to_pixels(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Rounds float images in [0, 255] to uint8, same shape, for a file that normalises its input itself."""
    return np.asarray(np.clip(np.rint(images), 0, 255), np.uint8)
