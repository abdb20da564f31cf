"""Decodes TIFF files that Pillow cannot: more than 8 bits with several bands, and any number of bands."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, STRIP_OFFSETS, ORIENTATION = 256, 257, 258, 259, 262, 273, 274
SAMPLES, ROWS_PER_STRIP, STRIP_BYTES, PLANAR, PREDICTOR = 277, 278, 279, 284, 317
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES, EXTRA_SAMPLES, SAMPLE_FORMAT = 322, 323, 324, 325, 338, 339
_KINDS = {1: "u", 2: "i", 3: "f"}  # sample formats
_BYTE_WISE = {1, 5, 8, 32773, 32946, 50000}  # none, LZW, deflate, PackBits, old deflate, Zstandard
_ALPHA = (1, 2)  # extra samples that are transparency
_SUBFILE, _REDUCED, _MASK = 254, 1, 4  # tag, and bits of it: a smaller copy of the image, its transparency
_SIGNS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

SEVERAL = "it holds several images (pages or frames), and only one is expected; save each as a file of its own"
Array = NDArray[np.generic]


class TiffHeader:
    """The first directory of a TIFF file.

    Raises:
        ValueError: if it is damaged, or the file holds several images: smaller copies of the first one do not count.
    """

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as file, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what a cut file lacks is found missing below
                start = file.read(8)
                start += file.read(8) if 43 in start[2:4] else b""  # BigTIFF
                self._tags: Any = TiffImagePlugin.ImageFileDirectory_v2(start)
                file.seek(self._tags.next)
                self._tags.load(file)
                has_pages = self._has_pages(file, start)
            self.height, self.width = int(self._tags[HEIGHT]), int(self._tags[WIDTH])
        except (OSError, SyntaxError, KeyError, struct.error, TypeError) as error:
            raise ValueError(f"cannot read the image {path}: {error}; replace the file or remove it") from error
        if has_pages:
            raise ValueError(f"cannot read the image {path}: {SEVERAL}")
        self.path, self.order = path, "<" if start[:2] == b"II" else ">"
        self.samples, self.orientation = int(self.get(SAMPLES, 1)), int(self.get(ORIENTATION, 1))
        self.bits = {*_listed(self.get(BITS, 1))}
        self.formats = {*_listed(self.get(SAMPLE_FORMAT, 1))}
        self.extra = _listed(self.get(EXTRA_SAMPLES, ()))

    @staticmethod
    def fits(path: Path) -> bool:
        """Whether a file begins like a TIFF, whatever its name ends in."""
        with path.open("rb") as file:
            return file.read(4) in _SIGNS

    def _has_pages(self, file: IO[bytes], start: bytes) -> bool:
        """Whether a second image of the same size follows, and not a thumbnail or overview."""
        following: Any = TiffImagePlugin.ImageFileDirectory_v2(start)
        try:
            file.seek(self._tags.next)
            if self._tags.next:
                following.load(file)
        except (OSError, SyntaxError, KeyError, struct.error, TypeError, ValueError):  # no image that can be read
            return False
        is_copy = int(following.get(_SUBFILE, 0)) & (_REDUCED | _MASK)
        return not is_copy and all(following.get(tag) == self._tags.get(tag) for tag in (HEIGHT, WIDTH))

    def get(self, tag: int, default: Any) -> Any:
        """Value of a tag."""
        return self._tags.get(tag, default)

    @property
    def has_alpha(self) -> bool:
        """Whether the last band is transparency."""
        return bool(self.extra) and self.extra[-1] in _ALPHA

    @property
    def is_ours(self) -> bool:
        """Whether `read` is to decode the file; all others are for Pillow."""
        deep = bool(self.bits - {1, 2, 4, 8})
        colours = 1 if self.get(PHOTOMETRIC, 1) in (0, 1) else 3
        has_bands = self.get(PHOTOMETRIC, 1) in (0, 1, 2) and self.samples - colours > self.has_alpha
        return deep or has_bands

    @property
    def dtype(self) -> np.dtype[Any]:
        """Number format of a sample; raises ValueError if there is none that NumPy has."""
        bits, formats = next(iter(self.bits)), next(iter(self.formats))
        if len(self.bits) > 1 or len(self.formats) > 1 or bits not in (8, 16, 32, 64) or formats not in _KINDS:
            raise ValueError(
                f"cannot read the image {self.path}: it has {sorted(self.bits)} bits per value; "
                "save it with 8, 16 or 32 bits"
            )
        return np.dtype(f"{self.order}{_KINDS[formats]}{bits // 8}")

    def read(self) -> Array:
        """All bands, transparency included, `(H, W, C)`.

        Raises:
            ValueError: naming the file, if its compression is unknown or it is truncated.
        """
        compression, photometric = self.get(COMPRESSION, 1), self.get(PHOTOMETRIC, 1)
        if compression not in _BYTE_WISE or photometric not in (0, 1, 2):
            raise ValueError(
                f"cannot read the image {self.path}: {self.samples} bands of {next(iter(self.bits))} bits in TIFF with "
                f"compression {compression} and photometric {photometric}; save it as grey or RGB with deflate or none"
            )
        try:
            bands = self._segments(int(compression))
        except (ValueError, OSError, zlib.error, KeyError, SyntaxError) as error:
            raise ValueError(f"cannot read the image {self.path}: {error}; replace the file or remove it") from error
        if photometric == 0 and self.dtype.kind == "u":
            bands = np.asarray(np.iinfo(self.dtype).max - bands, bands.dtype)
        return bands

    def _segments(self, compression: int) -> Array:
        tiled = TILE_OFFSETS in self._tags
        rows = int(self.get(TILE_HEIGHT if tiled else ROWS_PER_STRIP, self.height))
        columns = int(self.get(TILE_WIDTH, self.width)) if tiled else self.width
        rows = rows if tiled else min(rows, self.height)
        offsets = _listed(self._tags[TILE_OFFSETS if tiled else STRIP_OFFSETS])
        sizes = _listed(self._tags[TILE_BYTES if tiled else STRIP_BYTES])
        planes = self.samples if self.get(PLANAR, 1) == 2 else 1
        starts = [(top, left) for top in range(0, self.height, rows) for left in range(0, self.width, columns)]
        bands = np.zeros((self.height, self.width, self.samples), self.dtype.newbyteorder("="))
        with self.path.open("rb") as file:
            for index, (offset, size) in enumerate(zip(offsets, sizes, strict=True)):
                plane, place = divmod(index, len(starts))
                top, left = starts[place]
                height = rows if tiled else min(rows, self.height - top)
                file.seek(offset)
                shape = (height, columns, self.samples // planes)
                part = self._decoded(file.read(size), compression, shape)[: self.height - top, : self.width - left]
                at = slice(plane, plane + 1) if planes > 1 else slice(None)
                bands[top : top + part.shape[0], left : left + part.shape[1], at] = part
        return bands

    def _decoded(self, data: bytes, compression: int, shape: tuple[int, int, int]) -> Array:
        row = shape[1] * shape[2] * self.dtype.itemsize
        if compression in (8, 32946):
            data = zlib.decompress(data)
        elif compression != 1:
            data = _by_pillow(data, compression, row, shape[0])
        missing = row * shape[0] - len(data)
        if missing > 0:
            raise ValueError(f"image file is truncated ({missing} bytes not read)")
        codes = np.frombuffer(data, np.uint8, row * shape[0])
        predictor = self.get(PREDICTOR, 1)
        if predictor == 3:  # bytes of each row by significance, as differences
            values = np.cumsum(codes.reshape(shape[0], -1, shape[2]), axis=1, dtype=np.uint8)
            planes = values.reshape(shape[0], self.dtype.itemsize, shape[1] * shape[2])
            return np.ascontiguousarray(planes.transpose(0, 2, 1)).view(self.dtype.newbyteorder(">")).reshape(shape)
        values = codes.view(self.dtype).reshape(shape)
        return np.cumsum(values, axis=1, dtype=values.dtype) if predictor == 2 else values


def _by_pillow(data: bytes, compression: int, width: int, height: int) -> bytes:
    """Decompresses one strip as an 8-bit grey TIFF: these compressions work on bytes, whatever the bytes mean."""
    tags = {WIDTH: width, HEIGHT: height, BITS: 8, COMPRESSION: compression, PHOTOMETRIC: 1, SAMPLES: 1}
    tags |= {STRIP_OFFSETS: 8, ROWS_PER_STRIP: height, STRIP_BYTES: len(data)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    header = struct.pack("<2sHI", b"II", 42, 8 + len(data))
    file = header + data + struct.pack("<H", len(tags)) + entries + bytes(4)
    with Image.open(io.BytesIO(file)) as image:
        return image.tobytes()


def _listed(value: Any) -> list[int]:
    return [int(each) for each in (value if isinstance(value, tuple | list) else (value,))]
