"""Which class a colour in a mask stands for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


class ColourTable:
    """Turns coloured masks into classes.

    Args:
        colours: packed RGB, `0xRRGGBB`, to the class or the ignored value.
        source: what names the colours, for the message about one that it does not.
    """

    def __init__(self, colours: Mapping[int, int], *, source: str) -> None:
        self.colours, self.source = dict(colours), source

        self._foreign = next(value for value in reversed(range(256)) if value not in self.colours.values())

    @cached_property
    def _table(self) -> NDArray[np.uint8]:
        """One entry for every colour there is: 16 MiB, and looking up a mask costs no search."""
        table = np.full(1 << 24, self._foreign, np.uint8)
        table[list(self.colours)] = list(self.colours.values())
        return table

    def decode(self, stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """`(H, W, 3)` colours as `(H, W)` classes.

        Raises:
            ValueError: naming a colour that stands for nothing.
        """
        if stored.ndim != 3:
            raise ValueError("it holds one value per pixel; expected colours")
        packed = stored[..., 0].astype(np.int32)  # (H, W), 0xRRGGBB in the end
        for channel in (1, 2):
            packed <<= 8
            packed |= stored[..., channel]
        packed = packed.ravel()
        # Neighbours mostly share a colour: one look into the table for each run of them.
        starts = np.concatenate(([0], np.flatnonzero(packed[1:] != packed[:-1]) + 1))
        colours = packed[starts]
        classes = self._table[colours]
        foreign = classes == self._foreign
        if foreign.any():
            raise ValueError(
                f"it holds the colour {colours[foreign][0]:06X}, which {self.source} does not name; add or correct it"
            )
        return np.repeat(classes, np.diff(starts, append=packed.size)).reshape(stored.shape[:2])
