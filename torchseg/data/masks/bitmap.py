"""Bitmaps of single objects as annotation tools store them: run lengths, or PNG files in base64.

Both stay as they are stored until a mask is drawn: all objects of a large data set do not fit into memory as pixels.
"""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_PNG = b"\x89PNG\r\n\x1a\n"
_MOST_BYTES_A_PIXEL, _MOST_BYTES_BESIDE = 8, 2**16  # of a PNG: 16 bits for each of four channels, and all but pixels


class Bitmap(Protocol):
    """The pixels of one object."""

    def decode(self) -> NDArray[np.bool_]:
        """True where the object is, `(h, w)`; raises ValueError if what is stored is damaged."""
        ...


class RunLengths:
    """Alternating run lengths, the first of pixels outside the object.

    Args:
        runs: number of pixels in each run.
        height: of the bitmap.
        width: of the bitmap.
        by_column: whether pixels are counted column by column, not row by row.

    Raises:
        ValueError: if a run is negative, or the runs do not fill the bitmap exactly.
    """

    def __init__(self, runs: Sequence[int], height: int, width: int, *, by_column: bool) -> None:
        if min(runs, default=0) < 0:
            raise ValueError(f"it has a run of {min(runs)} pixels; export the annotations again")
        total = sum(runs)
        if total != height * width:
            raise ValueError(
                f"its runs fill {total} pixels of a bitmap of {height}x{width}; export the annotations again"
            )
        self.runs, self.shape, self.by_column = np.array(runs, np.int64), (height, width), by_column

    def decode(self) -> NDArray[np.bool_]:
        """The bitmap `(h, w)`."""
        flat = np.repeat(np.arange(len(self.runs)) % 2 == 1, self.runs)
        return flat.reshape(self.shape[::-1]).T if self.by_column else flat.reshape(self.shape)


@dataclass(frozen=True)
class PngBitmap:
    """A PNG file in base64, with or without another compression by zlib around it.

    Pixels that are neither transparent nor black belong to the object.

    Attributes:
        text: the file in base64.
        most: largest height and width that its pixels may have.
    """

    text: str
    most: tuple[int, int]

    def decode(self) -> NDArray[np.bool_]:
        """The bitmap `(h, w)`; raises ValueError if it is damaged or larger than it may be."""
        try:
            file = self._unpacked(base64.b64decode(self.text))
            self._check_size(file)
            with Image.open(io.BytesIO(file), formats=["PNG"]) as image:
                return _opaque(image)
        except (ValueError, zlib.error, OSError, SyntaxError, EOFError, struct.error) as error:
            raise ValueError(f"its bitmap cannot be read ({error}); export the annotations again") from error

    def _unpacked(self, data: bytes) -> bytes:
        """The PNG file; never much more than the pixels of such an image can take."""
        if data.startswith(_PNG):
            return data
        most = _MOST_BYTES_BESIDE + _MOST_BYTES_A_PIXEL * (self.most[0] + 1) * (self.most[1] + 1)
        file = zlib.decompressobj().decompress(data, most)
        if not file.startswith(_PNG) or len(file) == most:
            raise ValueError("it is no PNG file" if len(file) < most else f"it is a file of more than {most} bytes")
        return file

    def _check_size(self, file: bytes) -> None:
        """Compares the size in the header, because a small file may claim any size."""
        width, height = struct.unpack(">II", file[16:24])
        if not (0 < height <= self.most[0] and 0 < width <= self.most[1]):
            raise ValueError(f"it is {height}x{width}, and its image {self.most[0]}x{self.most[1]}")


def _opaque(image: Image.Image) -> NDArray[np.bool_]:
    if image.has_transparency_data:
        return np.asarray(image.convert("RGBA"))[..., 3] > 0
    stored = np.asarray(image.convert("RGB") if image.mode == "P" else image)
    found: NDArray[np.bool_] = (stored != 0).reshape(*stored.shape[:2], -1).any(axis=2)
    return found
