"""Reads masks with Pillow; every error names the faulty file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from torchseg.data.image_io import open_image


def read_mask(path: Path) -> NDArray[np.uint8]:
    """Reads a mask as stored, uint8: `(H, W)` for indexed or greyscale files, `(H, W, 3)` for coloured ones.

    Raises:
        ValueError: naming the file, if it is missing, truncated or has more than 8 bits.
    """
    with open_image(path) as image:
        if image.mode == "1":
            return np.asarray(image.convert("L")) // 255
        if image.mode in ("L", "P"):
            return np.asarray(image)
        if image.mode in ("RGB", "RGBA"):
            return np.asarray(image.convert("RGB"))
        raise ValueError(f"{path} is a {image.mode} image; a mask must be 8-bit grey, indexed or RGB: save it as PNG")


def read_colours(path: Path) -> NDArray[np.uint8]:
    """Reads the colours of a mask, uint8 `(H, W, 3)`; those of an indexed file come from its palette.

    Raises:
        ValueError: naming the file, if it is missing or truncated.
    """
    with open_image(path) as image:
        return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
