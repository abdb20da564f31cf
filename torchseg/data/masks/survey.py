"""Reads masks once each and adds up what their pixels show: values, colours, areas, smoothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from torchseg.data.masks.io import MaskHeader, read_colours, read_header, read_mask
from torchseg.data.masks.values import has_equal_neighbours, packed, smoothing, too_near
from torchseg.data.masks.white import TwoWhites

Read = Callable[[Path], NDArray[np.uint8]]


class Pixels:
    """Pixels of many masks, by value or packed colour `0xRRGGBB`.

    Attributes:
        counts: number of pixels, and of those whose four neighbours have the same value.
        smoothed: whether smoothing made most values of a mask.
    """

    def __init__(self) -> None:
        self.counts: dict[int, tuple[int, int]] = {}
        self.smoothed = False

    def add(self, stored: NDArray[np.uint8], path: Path) -> dict[int, int]:
        """Adds a mask `(H, W)` or `(H, W, 3)` of this file; gives the number of its pixels by value."""
        values = packed(stored)
        inside = np.zeros(values.shape, bool)
        if min(values.shape) > 2:
            inside[1:-1, 1:-1] = has_equal_neighbours(values)
        found, position, numbers = np.unique(values, return_inverse=True, return_counts=True)
        interior = np.bincount(position.ravel(), weights=inside.ravel()).astype(np.int64)
        for value, number, within in zip(found.tolist(), numbers.tolist(), interior.tolist(), strict=True):
            before = self.counts.get(value, (0, 0))
            self.counts[value] = before[0] + number, before[1] + within
        self.smoothed = self.smoothed or bool(smoothing(stored, path))
        return dict(zip(found.tolist(), numbers.tolist(), strict=True))


class MaskSurvey:
    """What masks hold.

    Attributes:
        headers: of the masks that can be read.
        values: pixels of the masks with one value per pixel.
        colours: pixels of the others.
        flat: the masks with one value per pixel.
        deep: values of these, without those of one bit per pixel.
        one_bit: values of those of one bit.
        whites: what 255 means in masks of more bits.
        too_near: why values of a mask of a lossy format may have changed into each other, by its file.
    """

    def __init__(self) -> None:
        self.headers: dict[Path, MaskHeader] = {}
        self.values, self.colours = Pixels(), Pixels()
        self.flat: list[Path] = []
        self.deep: set[int] = set()
        self.one_bit: set[int] = set()
        self.whites = TwoWhites()
        self.too_near: dict[Path, str] = {}

    def add(self, path: Path) -> None:
        """Reads a mask; one that cannot be read is left out. Raises ValueError for a file of several images."""
        try:
            stored = read_mask(path)
        except ValueError:
            return
        header = self.headers[path] = read_header(path)
        if stored.ndim == 3:
            self.colours.add(stored, path)
            return
        self.flat.append(path)
        found = self.values.add(stored, path)
        if header.mode == "1":
            self.one_bit |= set(found)
        else:
            self.deep |= set(found)
            self.whites.add(path, np.bincount(stored.ravel(), minlength=256))
        near = too_near(found) if header.is_lossy else ""
        if near:
            self.too_near[path] = near

    def in_colours(self) -> Pixels:
        """Pixels of all masks by colour; reads those with one value per pixel again, for their colours."""
        for path in self.flat:
            self.colours.add(read_colours(path), path)
        self.flat = []
        return self.colours
