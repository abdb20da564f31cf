"""Maps the colours of a mask to classes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


class ColourTable:
    """Turns coloured masks into classes.

    Args:
        colours: class, or the ignored value, by packed RGB colour `0xRRGGBB`.
        source: where the colours are defined, for the error message about an unknown colour.
    """

    def __init__(self, colours: Mapping[int, int], *, source: str) -> None:
        self.colours, self.source = dict(colours), source

        self._foreign = next(value for value in reversed(range(256)) if value not in self.colours.values())

    @cached_property
    def _table(self) -> NDArray[np.uint8]:
        """One entry per RGB colour, 16 MiB in all, so that decoding a mask needs no search."""
        table = np.full(1 << 24, self._foreign, np.uint8)
        table[list(self.colours)] = list(self.colours.values())
        return table

    def decode(self, stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Decodes colours, uint8 `(H, W, 3)`, into classes, uint8 `(H, W)`.

        Raises:
            ValueError: if the mask has no colours, or naming a colour that stands for no class.
        """
        if stored.ndim != 3:
            raise ValueError("it holds one value per pixel; expected colours")
        packed = stored[..., 0].astype(np.int32)  # (H, W), becomes 0xRRGGBB
        for channel in (1, 2):
            packed <<= 8
            packed |= stored[..., channel]
        packed = packed.ravel()
        # Neighbouring pixels mostly share a colour, so the table is read once per run of equal pixels.
        starts = np.concatenate(([0], np.flatnonzero(packed[1:] != packed[:-1]) + 1))
        colours = packed[starts]
        classes = self._table[colours]
        foreign = classes == self._foreign
        if foreign.any():
            raise ValueError(
                f"it holds the colour {colours[foreign][0]:06X}, which {self.source} does not name; add or correct it"
            )
        return np.repeat(classes, np.diff(starts, append=packed.size)).reshape(stored.shape[:2])
