"""Judges the values that masks hold: where they lie, and whether smoothing made them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FEWEST_EDGE_VALUES = 6
_INTERIOR_SHARE = 0.05
JPEG = (".jpg", ".jpeg")  # endings of files that lose something whatever they hold


def smoothing(stored: NDArray[np.uint8], path: Path) -> str:
    """Says that smoothing made most values of this mask; empty if it did not.

    Resampling with interpolation and lossy compression leave many values that occur along edges alone: nearly none of
    their pixels has four equal neighbours. In a JPEG one such value is enough, because nothing else than loss makes it.

    Args:
        stored: mask as stored, `(H, W)` or `(H, W, 3)`.
        path: of its file; its ending tells JPEG.
    """
    numbers = packed(stored)
    values, position = np.unique(numbers, return_inverse=True)
    fewest = 1 if path.suffix.lower() in JPEG else _FEWEST_EDGE_VALUES
    if len(values) < fewest + 2 or min(numbers.shape) < 3:
        return ""
    position = position.reshape(numbers.shape)
    pixels = np.bincount(position[1:-1, 1:-1].ravel(), minlength=len(values))
    interior = np.bincount(position[1:-1, 1:-1][has_equal_neighbours(position)], minlength=len(values))
    at_edges = int((interior < _INTERIOR_SHARE * pixels.clip(1)).sum())
    if at_edges < (1 if fewest == 1 else max(fewest, len(values) // 2)):
        return ""
    is_jpeg = path.suffix.lower() in (*JPEG, ".webp")
    cause = "compression with losses (JPEG)" if is_jpeg else "resampling with smoothing, or JPEG,"
    return (
        f"it holds {len(values)} {'colours' if stored.ndim == 3 else 'values'}, {at_edges} of them along edges alone: "
        f"{cause} has mixed the classes; save the mask without losses (PNG), resized by nearest neighbour, or let "
        "prepare --fix OUT mend a copy"
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
