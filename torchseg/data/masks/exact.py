"""Reads masks whose numbers Pillow would change: grey of few bits, more than 8 bits, more bands than a colour has."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile

from torchseg.data.images.bands import read_bands, upright
from torchseg.data.images.bands import read_header as read_image_header
from torchseg.data.images.tiff import PHOTOMETRIC, TiffHeader

_STEPS = {"L;2": 85, "L;4": 17}  # between shades, where Pillow spreads few bits over 0 to 255
_DEEP = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")  # modes of 16 or 32 bits
_DEEP_COLOURS = ("RGB;16B", "RGBA;16B")  # of PNG; Pillow keeps the high bytes alone
_WIDE = 257  # 65535 / 255: stored with 16 bits, 8-bit values are multiples of it
_LOSSY = {"JPEG", "MPO", "JPEG2000", "AVIF"}
_LOSSY_TIFF = {"jpeg", "tiff_jpeg", "webp"}


def check_one_value(path: Path) -> None:
    """Raises a ValueError that names a TIFF file of more bands than a grey or coloured image has; other files pass."""
    if TiffHeader.fits(path):
        _check_bands(TiffHeader(path), path)


def _check_bands(header: TiffHeader, path: Path) -> None:
    count = header.samples - header.has_alpha
    if header.is_ours and count not in (1, 3, 4):
        raise ValueError(_too_many_bands(path, count))


def _too_many_bands(path: Path, count: int) -> str:
    return (
        f"mask {path} has {count} bands; a mask has one value per pixel, or one colour: where each band is a class, "
        "save the number of the class instead"
    )


def exact_values(image: Image.Image, path: Path) -> NDArray[np.uint8] | None:
    """Values `(H, W)`, colours `(H, W, 3)`, or `(H, W, 4)` with opacity, of a file with more than 8 bits or with bands.

    Args:
        image: the file, opened and not yet decoded.
        path: of the file.

    Returns:
        None for a file that Pillow reads as it is stored, with 8 bits or fewer.

    Raises:
        ValueError: naming a file with more bands than a colour has, or values that are no classes.
    """
    rawmode = _rawmode(image)
    if image.format == "PNG" and rawmode == "LA;16B":
        raise ValueError(f"{path} has 16 bits and transparency; save the mask with class numbers, 8 bits a pixel")
    if rawmode in _DEEP_COLOURS or (image.format == "TIFF" and _needs_bands(path)):
        header = read_image_header(path)
        bands, opacity = read_bands(path, header)
        if image.format == "TIFF":  # as Pillow turns the others
            bands = upright(bands, header.orientation)
            opacity = None if opacity is None else upright(opacity, header.orientation)
        if bands.shape[2] == 4 and (bands[..., 3] != bands[:1, :1, 3]).any():
            raise ValueError(_too_many_bands(path, 4))
        bands = bands[..., :3]  # a fourth band that says nothing is an opacity without its name
        values = shallow(bands, path)
        if opacity is not None:
            colours = values if values.shape[2] == 3 else np.repeat(values, 3, axis=2)
            return np.dstack([colours, shallow(opacity, path)])
        return values[..., 0] if values.shape[2] == 1 else values
    if image.mode not in _DEEP:
        return None
    image.load()
    return shallow(np.asarray(image), path)


def _needs_bands(path: Path) -> bool:
    """Whether Pillow drops bands or bits of a TIFF, or leaves white at 0."""
    header = TiffHeader(path)
    _check_bands(header, path)
    return header.is_ours and (header.samples > 1 or header.get(PHOTOMETRIC, 1) == 0)


def step_of_shades(image: Image.Image) -> int:
    """The number by which Pillow multiplies the values of an opened grey file: 85 or 17 for 2 or 4 bits, else 1."""
    return _STEPS.get(_rawmode(image)[:3], 1) if image.mode == "L" else 1


def shallow(values: NDArray[Any], path: Path) -> NDArray[np.uint8]:
    """The values of a file of more than 8 bits as uint8, of the same shape.

    Raises:
        ValueError: naming a file with values that are no classes.
    """
    if values.dtype.kind == "f" and not (values == np.rint(values)).all():
        odd = float(values[values != np.rint(values)][0])
        raise ValueError(
            f"{path} holds the value {odd:g}; the values of a mask are whole numbers, the classes: save it with class "
            "numbers, 8 bits a pixel"
        )
    low, high = int(values.min()), int(values.max())
    if high > 255 and values.dtype == np.uint16 and not (values % _WIDE).any():
        return np.asarray(values // _WIDE, np.uint8)
    if low < 0 or high > 255:
        raise ValueError(
            f"{path} has more than 8 bits and holds the value {high if high > 255 else low}; the values of a mask are "
            "classes from 0 to 254, and 255 where the class is unknown: save it with class numbers, 8 bits a pixel"
        )
    return values.astype(np.uint8)


def is_lossy(image: Image.Image) -> bool:
    """Whether the format of an opened file changes values a little, whatever the end of the file's name says."""
    if image.format == "WEBP" and isinstance(image, ImageFile) and image.fp is not None:
        return _is_lossy_webp(image.fp)
    if image.format == "TIFF":
        return str(image.info.get("compression")) in _LOSSY_TIFF
    return image.format in _LOSSY


def _is_lossy_webp(file: IO[bytes]) -> bool:
    start = file.tell()
    file.seek(12)
    while (head := file.read(8)) and head[:4] not in (b"VP8 ", b"VP8L"):
        file.seek((int.from_bytes(head[4:], "little") + 1) & ~1, 1)
    file.seek(start)
    return head[:4] == b"VP8 "


def _rawmode(image: Image.Image) -> str:
    tiles = getattr(image, "tile", ())
    if not tiles:
        return ""
    arguments = tiles[0].args
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)
