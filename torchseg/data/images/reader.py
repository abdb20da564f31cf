"""How the image files of a data set become pictures: number of channels, range of values, orientation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from torchseg.data.images.bands import (
    Array,
    Bands,
    as_stored,
    bands_of,
    opened,
    read_bands,
    read_header,
    reading,
    upright,
)
from torchseg.data.images.memory import check_memory
from torchseg.plural import counted, verb

if TYPE_CHECKING:
    from torchseg.data.sample import Fit

Exif = Literal["apply", "ignore"]
_LEAST_BYTES, _COPIES = 16, 4  # see `_bytes_per_pixel`; measured on images of all formats
_BLOCK_PIXELS = 2**17
_DEPTHS = (8, 10, 12, 14, 16)  # bits of sensors whose values are stored in 16 bits
_GREY = np.array([0.299, 0.587, 0.114], np.float32)  # luma of red, green and blue, as Pillow's


@dataclass(frozen=True, kw_only=True)
class ImageReader:
    """Reads image files as uint8 pictures.

    Values of more than 8 bits are scaled from their range to 0..255 and rounded, because every later stage works on 8
    bits; a photo loses nothing that a network sees, a measurement may. Transparent pixels become black.

    Attributes:
        channels: of every picture. A grey image gives any number of them, an RGB image gives one as its luma, and of
            more bands the first ones are taken.
        value_range: values that become 0 and 255; None for 0..255 in 8-bit files, 0..65535 in uint16, 0..1 in floats.
        exif: whether to turn images as their EXIF orientation says.
    """

    channels: int = 3
    value_range: tuple[float, float] | None = None
    exif: Exif = "apply"

    def read(self, path: Path, fit: Fit | None = None) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        """Reads a picture, possibly at a reduced size.

        Args:
            path: of the file.
            fit: takes the full height and width and returns those that are enough. A JPEG that is at least that large
                at 1/2, 1/4 or 1/8 of its size is decoded at that scale; other formats are always read at full size.

        Returns:
            The picture, uint8 `(H, W, C)`, and the height and width of the full image.

        Raises:
            ValueError: naming the file, if it is missing, damaged or not an image, or its values are not in the range.
        """
        bands, alpha, full = self.stored(path, fit)
        codes = _codes(bands, alpha, _checked_range(bands, path, self.value_range))
        return np.ascontiguousarray(_channels(codes, self.channels, path)), full

    def stored(self, path: Path, fit: Fit | None = None) -> tuple[Array, Array | None, tuple[int, int]]:
        """All bands `(H, W, C)` and transparency `(H, W)` in their own number format, and the full height and width.

        Takes the orientation into account alone; `fit` and exceptions are those of `read`.
        """
        with reading(path), opened(path) as (header, image):
            full = self._size(header)
            if image is not None:
                return *self._by_pillow(path, image, header, fit), full
            check_memory(path, full, bytes_per_pixel=_bytes_per_pixel(header))
            bands, alpha = read_bands(path, header)
        if self.exif == "apply":
            bands = upright(bands, header.orientation)
            alpha = None if alpha is None else upright(alpha, header.orientation)
        return bands, alpha, full

    def size(self, path: Path) -> tuple[int, int]:
        """Height and width in pixels, read from the header only; raises ValueError naming the file."""
        with reading(path):
            return self._size(read_header(path))

    def _size(self, header: Bands) -> tuple[int, int]:
        turned = self.exif == "apply" and header.is_turned
        return (header.width, header.height) if turned else (header.height, header.width)

    def _by_pillow(self, path: Path, image: Image.Image, header: Bands, fit: Fit | None) -> tuple[Array, Array | None]:
        if fit:
            height, width = fit(*self._size(header))
            turned = self.exif == "apply" and header.is_turned
            image.draft(None, (height, width) if turned else (width, height))
        check_memory(path, (image.height, image.width), bytes_per_pixel=_bytes_per_pixel(header))
        if self.exif == "apply":
            ImageOps.exif_transpose(image, in_place=True)
        bands, alpha = bands_of(image, header)
        if self.exif == "ignore" and header.turns_itself:
            bands = as_stored(bands, header.orientation)
            alpha = None if alpha is None else as_stored(alpha, header.orientation)
        return bands, alpha


RGB = ImageReader()
ANY = ImageReader(channels=0)
"""Leaves the number of channels to `reader_for`."""


def reader_for(paths: Sequence[Path], reader: ImageReader) -> ImageReader:
    """The reader with what these files say, where it is open: number of channels and range of values.

    Images of 16 bits often come from sensors of 10, 12 or 14: the largest value of all of them decides.

    Args:
        paths: image files; the header of each is read, and all pixels of files of 16 bits.
        reader: with 0 channels, their number is that of the files.

    Raises:
        ValueError: naming the files, if they differ in their number of bands or format, or floats lie outside [0, 1].
    """
    headers = {}
    for path in paths:
        with reading(path):
            headers[path] = read_header(path)
    channels = reader.channels or (_common(headers) if headers else 3)
    if reader.value_range is not None or all(each.dtype == "uint8" for each in headers.values()):
        return ImageReader(channels=channels, value_range=reader.value_range, exif=reader.exif)
    first = next(path for path, each in headers.items() if each.dtype != "uint8")
    for path, header in headers.items():
        if header.dtype != headers[first].dtype:
            raise ValueError(
                f"{first} has {headers[first].dtype} values and {path} {header.dtype}; store all images alike, or give "
                "--value_range LOW,HIGH"
            )
    value_range = _range(headers, headers[first].dtype)
    return ImageReader(channels=channels, value_range=value_range, exif=reader.exif)


def _common(headers: dict[Path, Bands]) -> int:
    """Channels of all images; grey ones among RGB ones are read as RGB."""
    if {header.count for header in headers.values()} == {1, 3}:
        return 3
    first = next(iter(headers))
    for path, header in headers.items():
        if header.count != headers[first].count:
            raise ValueError(
                f"image {first} has {headers[first].count} channels and {path} {header.count}; store all alike, or say "
                "how many to use: --channels 3"
            )
    return headers[first].count


def _range(headers: dict[Path, Bands], dtype: str) -> tuple[float, float]:
    low, high, where = np.inf, -np.inf, next(iter(headers))
    for path, header in headers.items():
        with reading(path):
            bands = read_bands(path, header)[0]
        low = min(low, float(bands.min()))
        if not float(bands.max()) <= high:
            high, where = float(bands.max()), path
    if dtype == "uint16":
        bits = next(bits for bits in _DEPTHS if high < 2**bits)
        return 0.0, float(2**bits - 1)
    if dtype.startswith("float") and low >= 0 and high <= 1:
        return 0.0, 1.0
    raise ValueError(
        f"the images have {dtype} values from {low:g} to {high:g} (in {where}); say which become black and white: "
        "--value_range LOW,HIGH"
    )


def _bytes_per_pixel(header: Bands) -> int:
    """Bytes that reading takes for each pixel, at most: Pillow's image, what it is converted to, and arrays of both."""
    return max(_LEAST_BYTES, _COPIES * (header.count + 1) * np.dtype(header.dtype).itemsize)


def _codes(bands: Array, alpha: Array | None, value_range: tuple[float, float] | None) -> NDArray[np.uint8]:
    """Values as 0 to 255, and transparent pixels as black; by a few rows at a time, since it takes large numbers.

    Args:
        bands: values `(H, W, C)`.
        alpha: opacity `(H, W)`, whole numbers of 8 or 16 bits.
        value_range: what becomes 0 and 255; None if the values are that already.
    """
    if value_range is None and alpha is None:
        return np.asarray(bands, np.uint8)
    codes, rows = np.empty(bands.shape, np.uint8), max(1, _BLOCK_PIXELS // bands.shape[1])
    for start in range(0, len(bands), rows):
        block = slice(start, start + rows)
        values: NDArray[Any] = np.asarray(bands[block], np.uint8 if value_range is None else np.float32)
        if value_range is not None:
            low, high = value_range
            values = np.asarray(np.rint((values.clip(low, high) - low) * np.float32(255 / (high - low))), np.uint8)
        if alpha is not None:
            whole = np.float32(255 if alpha.dtype == np.uint8 else 65535)
            values = np.rint(values * (np.asarray(alpha[block], np.float32)[..., None] / whole))
        codes[block] = values
    return codes


def _checked_range(bands: Array, path: Path, value_range: tuple[float, float] | None) -> tuple[float, float] | None:
    """The values that become 0 and 255; None if the values are that already. Raises ValueError if they do not fit."""
    if bands.dtype == np.uint8 and value_range is None:
        return None
    kind = bands.dtype.name
    least, most = np.float32(bands.min()), np.float32(bands.max())  # not a number if one value is not
    known = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0)}.get(
        kind, (0.0, 1.0) if kind.startswith("float") else None
    )
    low, high = value_range or known or (0.0, 0.0)
    if not low < high or not np.isfinite([least, most]).all():
        what = f"{kind} values" if not low < high else "values that are not numbers"
        raise ValueError(f"{path} has {what}; say which become black and white: --value_range LOW,HIGH")
    if value_range is None and (least < low or most > high):
        raise ValueError(
            f"{path} has values from {least:g} to {most:g}, outside of {low:g} to {high:g}; say which "
            "become black and white: --value_range LOW,HIGH"
        )
    return low, high


def _channels(codes: NDArray[np.uint8], channels: int, path: Path) -> NDArray[np.uint8]:
    count = codes.shape[2]
    if count == channels:
        return codes
    if count == 1:
        return np.repeat(codes, channels, axis=2)
    if channels == 1 and count == 3:
        return np.asarray(np.rint(codes @ _GREY), np.uint8)[..., None]
    if count < channels:
        raise ValueError(
            f"image {path} has {counted(count, 'channel')} and {channels} {verb(channels, 'is', 'are')} expected; give "
            f"images of {counted(channels, 'channel')}"
        )
    return codes[..., :channels]


def grey_or_colours(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture `(H, W, C)` as RGB `(H, W, 3)` to look at: the first three bands, or the first as grey."""
    return picture[..., :3] if picture.shape[2] >= 3 else np.repeat(picture[..., :1], 3, axis=2)
