"""Judges the values that masks hold: where they lie, and whether smoothing made them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torchseg.data.images.io import open_image
from torchseg.data.masks.exact import is_lossy

_FEWEST_EDGE_VALUES = 6
_INTERIOR_SHARE = 0.05
_APART = 16  # nearer values may become each other by compression with losses


def smoothing(stored: NDArray[np.uint8], path: Path) -> str:
    """Says that smoothing made most values of this mask; empty if it did not.

    Resampling with interpolation and lossy compression leave many values that occur along edges alone: nearly none of
    their pixels has four equal neighbours. In a JPEG one such value is enough, because nothing else than loss makes it.

    Args:
        stored: mask as stored, `(H, W)` or `(H, W, 3)`.
        path: of its file, whose format tells JPEG.
    """
    numbers = packed(stored)
    values, position = np.unique(numbers, return_inverse=True)
    if len(values) < 3 or min(numbers.shape) < 3:
        return ""
    with open_image(path) as image:
        loses = is_lossy(image)
    fewest = 1 if loses else _FEWEST_EDGE_VALUES
    if len(values) < fewest + 2:
        return ""
    position = position.reshape(numbers.shape)
    pixels = np.bincount(position[1:-1, 1:-1].ravel(), minlength=len(values))
    interior = np.bincount(position[1:-1, 1:-1][has_equal_neighbours(position)], minlength=len(values))
    at_edges = int((interior < _INTERIOR_SHARE * pixels.clip(1)).sum())
    if at_edges < (1 if fewest == 1 else max(fewest, len(values) // 2)):
        return ""
    cause = "compression with losses (JPEG, WebP)" if loses else "resampling with smoothing, or JPEG,"
    return (
        f"it holds {len(values)} {'colours' if stored.ndim == 3 else 'values'}, {at_edges} of them along edges alone: "
        f"{cause} has mixed the classes; save the mask without losses (PNG), resized by nearest neighbour, or let "
        "prepare --fix OUT mend a copy"
    )


def too_near(values: Iterable[int]) -> str:
    """Says which two values may have become each other in a file of a format with losses; empty if none are so near."""
    found = sorted(values)
    near = [pair for pair in pairwise(found) if pair[1] - pair[0] < _APART]
    if not near:
        return ""
    has_groups = any(second - first >= _APART for first, second in pairwise(found))
    return (
        f"it holds the values {listed(found)}, and its format compresses with losses (JPEG, WebP): {near[0][0]} and "
        f"{near[0][1]} are so near that it may have changed one into the other; save the mask without losses (PNG) "
        f"from where it was made{', or let prepare --fix OUT mend a copy' if has_groups else ''}"
    )


def has_equal_neighbours(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each pixel of `(H, W)` equals all four beside it, `(H - 2, W - 2)`: without those at the border."""
    inner = values[1:-1, 1:-1]
    alike: NDArray[np.bool_] = (inner == values[:-2, 1:-1]) & (inner == values[2:, 1:-1])
    alike &= (inner == values[1:-1, :-2]) & (inner == values[1:-1, 2:])
    return alike


def listed(values: Iterable[int]) -> str:
    """`0, 7 and 15`; of many values the first and the last."""
    texts = [str(value) for value in values]
    if len(texts) > 12:
        texts = [*texts[:8], "...", texts[-1]]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def packed(stored: NDArray[np.uint8]) -> NDArray[np.int32]:
    """One number per pixel, `(H, W)`: the value, or the colour as `0xRRGGBB`."""
    if stored.ndim == 2:
        return stored.astype(np.int32)
    red, green, blue = (stored[..., channel].astype(np.int32) for channel in range(3))
    return red << 16 | green << 8 | blue


def colours_in(stored: NDArray[np.uint8]) -> dict[int, int]:
    """Number of pixels by packed colour `0xRRGGBB` of a coloured mask `(H, W, 3)`."""
    values, counts = np.unique(packed(stored), return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))
