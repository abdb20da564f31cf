"""Says what white means in masks of few values: 1, 255 or a pixel that is ignored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from torchseg.data.masks.io import MaskHeader
from torchseg.spec import IGNORE_INDEX


class TwoWhites:
    """Notices masks of 0 and 255 among masks of 0 and 1: who writes both mostly means one class by 255 and 1."""

    def __init__(self) -> None:
        self.white: Path | None = None  # a mask with 255 and, apart from 0, nothing else
        self.one: Path | None = None  # a mask with 1 and no 255
        self.together = False  # 255 beside 1: then it is an ignored border, as usual

    def add(self, path: Path, counts: NDArray[np.int64]) -> None:
        """Takes in how often each of the 256 values occurs in a mask."""
        has_white, has_others = bool(counts[IGNORE_INDEX]), bool(counts[1:IGNORE_INDEX].any())
        self.together |= has_white and has_others
        if has_white and not has_others:
            self.white = self.white or path
        if has_others and not has_white:
            self.one = self.one or path

    def check(self) -> None:
        """Raises ValueError that names a mask of each kind, if there are both and none has 255 beside a class."""
        if self.white and self.one and not self.together:
            raise ValueError(
                f"mask {self.white} holds no value but 0 and {IGNORE_INDEX}, and mask {self.one} none but 0 and 1: "
                f"store the class as 1 in all of them, or have {IGNORE_INDEX} ignored by --ignore_value {IGNORE_INDEX}"
            )


def check_one_bit(masks: Mapping[Path, MaskHeader], read: Callable[[Path], NDArray[np.uint8]]) -> None:
    """Raises a ValueError if white in a file of one bit may be 1 or 255, because 255 is ignored in other files.

    Tools that make PNG files smaller store a mask of 0 and 255 with one bit per pixel.
    """
    small = [path for path, header in masks.items() if header.mode == "1"]
    white = next((path for path in small if read(path).any()), None) if len(small) < len(masks) else None
    if white is None:
        return
    for path in [path for path in masks if path not in set(small)]:
        stored = read(path)
        if stored.ndim == 2 and (stored == IGNORE_INDEX).any() and ((stored > 0) & (stored < IGNORE_INDEX)).any():
            raise ValueError(
                f"mask {white} has one bit per pixel, and its white may mean 1 or {IGNORE_INDEX}, which is ignored in "
                f"mask {path}; save it with 8 bits a pixel"
            )
