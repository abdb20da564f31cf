"""Which class a colour in a mask stands for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

_FOREIGN = 256  # no class, and not the ignored value either


class ColourTable:
    """Turns coloured masks into classes.

    Args:
        colours: packed RGB, `0xRRGGBB`, to the class or the ignored value.
        source: what names the colours, for the message about one that it does not.
    """

    def __init__(self, colours: Mapping[int, int], *, source: str) -> None:
        self.colours, self.source = dict(colours), source

    @cached_property
    def _table(self) -> NDArray[np.uint16]:
        """One entry for every colour there is: 32 MiB, and looking up a mask costs no search."""
        table = np.full(1 << 24, _FOREIGN, np.uint16)
        table[list(self.colours)] = list(self.colours.values())
        return table

    def decode(self, stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """`(H, W, 3)` colours as `(H, W)` classes.

        Raises:
            ValueError: naming a colour that stands for nothing.
        """
        if stored.ndim != 3:
            raise ValueError("it holds one value per pixel; expected colours")
        red, green, blue = (stored[..., channel].astype(np.int32) for channel in range(3))
        packed = red << 16 | green << 8 | blue
        classes = self._table[packed]
        foreign = classes == _FOREIGN
        if foreign.any():
            raise ValueError(
                f"it holds the colour {packed[foreign][0]:06X}, which {self.source} does not name; add or correct it"
            )
        return np.asarray(classes, np.uint8)
