"""Reads the bands of an image file at their true depth: 8 or 16 bits, whole numbers or floats, any number of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from torchseg.data.images.known_headers import read_once
from torchseg.data.images.tiff import SEVERAL, TiffHeader

Array = NDArray[np.generic]
_Value = TypeVar("_Value", bound=np.generic)
ORIENTATION = 0x0112  # the EXIF tag
_TURNED = (5, 6, 7, 8)  # orientations that swap height and width
_PNG_END_BYTES = 2**16  # that hold what may come behind the pixels
_TIFF = (".tif", ".tiff")
_HEIC = (b"ftypheic", b"ftypheix", b"ftyphevc", b"ftypmif1", b"ftypmsf1")
_ANIMATED = ("GIF", "PNG", "WEBP")  # formats of animations
_DEEP_PNG = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L"}  # rawmode of the high bytes: that of the low bytes


@dataclass(frozen=True, kw_only=True)
class Bands:
    """What an image file says of itself in its header.

    Attributes:
        height: in pixels, as stored.
        width: in pixels, as stored.
        count: number of bands, without transparency.
        dtype: NumPy name of the number format of a value, e.g. `uint16`.
        orientation: of EXIF, 1 to 8; 1 is upright.
        decoder: `pillow`, `png`, `tiff` or `npy`.
        turns_itself: whether the decoder applies the orientation, as Pillow does for TIFF.
    """

    height: int
    width: int
    count: int
    dtype: str
    orientation: int = 1
    decoder: str = "pillow"
    turns_itself: bool = False

    @property
    def is_turned(self) -> bool:
        """Whether the orientation swaps height and width."""
        return self.orientation in _TURNED


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns what Pillow and NumPy raise for an unreadable file into a ValueError that names the file.

    A damaged file leads a decoder to an exception of any class: of its own, of Python's parser, for lack of memory.
    """
    _check_name(path)
    try:
        yield
    except Exception as error:
        if isinstance(error, ValueError) and str(path) in str(error):
            raise
        reason = _other_content(path) or " ".join(str(error).split())[:300] or type(error).__name__
        raise ValueError(f"cannot read the image {path}: {reason}; replace the file or remove it") from error


def _other_content(path: Path) -> str:
    """What a file is that is no image of a known format, by its first bytes; empty if they do not say."""
    try:
        with path.open("rb") as file:
            start = file.read(32)
    except OSError:
        return ""
    if start[4:12] in _HEIC:
        return "it is a HEIC photo, whatever its name says: convert it to JPEG or PNG"
    if not start:
        return "it is empty"
    if start.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS: fetch the file with git lfs pull"
    return "it is a web page and no image" if start.lstrip().lower().startswith((b"<!doctype", b"<html")) else ""


def _check_name(path: Path) -> None:
    """Refuses file names that are not valid text, because tables and reports print them."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        encoding = sys.getfilesystemencoding()
        raise ValueError(
            f"the name of the image {str(path)!a} has bytes that are not {encoding}, the encoding of this locale; "
            "rename it, or set PYTHONUTF8=1"
        ) from error


@read_once
def read_header(path: Path) -> Bands:
    """The header of an image file.

    Raises:
        ValueError: naming the file, if it is an array or a TIFF that cannot be read, or for an animation.
        OSError: and other exceptions of Pillow, if Pillow cannot open it.
    """
    with opened(path) as (header, _):
        return header


@contextmanager
def opened(path: Path) -> Iterator[tuple[Bands, Image.Image | None]]:
    """The header of an image file and, if Pillow decodes it, the open file; raises what `read_header` raises."""
    header = _header_by_name(path)
    if header is not None:
        yield header, None
        return
    with Image.open(path) as image:
        header = _tiff_header(path) if image.format == "TIFF" and path.suffix.lower() not in _TIFF else None
        check_one_image(image)
        found = header or _pillow_header(image)
        yield found, image if found.decoder == "pillow" else None


def _header_by_name(path: Path) -> Bands | None:
    """The header of a file whose name says that Pillow does not decode it; None for all others."""
    if path.suffix.lower() == ".npy":
        array = _array(path)
        return Bands(
            height=array.shape[0], width=array.shape[1], count=array.shape[2], dtype=array.dtype.name, decoder="npy"
        )
    return _tiff_header(path) if path.suffix.lower() in _TIFF and TiffHeader.fits(path) else None


def _tiff_header(path: Path) -> Bands | None:
    """The header of a TIFF; None for one that Pillow decodes."""
    header = TiffHeader(path)
    if not header.is_ours:
        return None
    return Bands(
        height=header.height,
        width=header.width,
        count=header.samples - header.has_alpha,
        dtype=header.dtype.name,
        orientation=header.orientation,
        decoder="tiff",
    )


def check_one_image(image: Image.Image) -> None:
    """Raises a ValueError if an opened file is an animation; a JPEG with a second view (MPO) passes as its first."""
    if image.format in _ANIMATED and getattr(image, "is_animated", False):
        raise ValueError(SEVERAL)


def _pillow_header(image: Image.Image) -> Bands:
    tiles = getattr(image, "tile", ())  # of an image that was opened and not yet decoded
    rawmode = tiles[0].args if image.format == "PNG" and tiles else ""
    mode = image.mode
    orientation = int(_exif(image).get(ORIENTATION, 1))
    turns_itself = image.format == "TIFF"
    height, width = image.size if turns_itself and orientation in _TURNED else image.size[::-1]
    deep = {"I": "int32", "F": "float32"}.get(mode, "uint16" if mode.startswith("I;16") else "uint8")
    return Bands(
        height=height,
        width=width,
        count=1 if mode in ("1", "L", "LA", "La") or rawmode == "LA;16B" or deep != "uint8" else 3,
        dtype="uint16" if rawmode in _DEEP_PNG else deep,
        orientation=orientation,
        decoder="png" if rawmode in _DEEP_PNG else "pillow",
        turns_itself=turns_itself,
    )


def _exif(image: Image.Image) -> Image.Exif:
    """The EXIF data; that of a PNG without decoding its pixels, which Pillow does in search of data behind them."""
    if not isinstance(image, PngImageFile) or image.fp is None:
        return image.getexif()
    place = image.fp.tell()
    image.fp.seek(max(0, image.fp.seek(0, 2) - _PNG_END_BYTES))
    end = image.fp.read()
    image.fp.seek(place)
    is_plain = b"eXIf" not in end and b"IEND" in end  # a file that is cut off is decoded, and its fault found
    return Image.Image.getexif(image) if is_plain else image.getexif()


def read_bands(path: Path, header: Bands) -> tuple[Array, Array | None]:
    """All bands `(H, W, C)` as stored, in their own number format, and transparency `(H, W)`; None without any."""
    if header.decoder == "npy":
        return np.ascontiguousarray(_array(path)), None
    if header.decoder == "tiff":
        return _apart(TiffHeader(path).read(), header.count)
    if header.decoder == "png":
        high, low = (_png_bytes(path, low=low) for low in (False, True))
        return _apart(high.astype(np.uint16) << 8 | low, header.count)
    with Image.open(path) as image:
        return bands_of(image, header)


def bands_of(image: Image.Image, header: Bands) -> tuple[Array, Array | None]:
    """Bands `(H, W, C)` and transparency `(H, W)` of an image that Pillow decodes."""
    if header.dtype != "uint8":
        return np.asarray(image)[..., None], None
    grey = header.count == 1
    if image.has_transparency_data:
        return _apart(np.asarray(image.convert("LA" if grey else "RGBA")), header.count)
    mode = "L" if grey else "RGB"
    stored = np.asarray(image if image.mode == mode else image.convert(mode))
    return stored.reshape(*stored.shape[:2], header.count), None


def upright(bands: NDArray[_Value], orientation: int) -> NDArray[_Value]:
    """Turns and mirrors an array `(H, W, ...)` as its EXIF orientation says."""
    if orientation in _TURNED:
        bands = bands.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        bands = bands[:, ::-1]
    if orientation in (3, 4, 7, 8):
        bands = bands[::-1]
    return bands


def as_stored(bands: NDArray[_Value], orientation: int) -> NDArray[_Value]:
    """Takes back what `upright` does."""
    return upright(bands, {6: 8, 8: 6}.get(orientation, orientation))


def _array(path: Path) -> NDArray[Any]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"cannot read the image {path}: {error}; replace the file or remove it") from error
    if array.ndim not in (2, 3) or array.dtype.kind not in "uif" or not array.size:
        raise ValueError(
            f"{path} holds {array.dtype} of shape {list(array.shape)}; an image is numbers (H, W) or (H, W, C)"
        )
    bands: NDArray[Any] = array if array.ndim == 3 else array[..., None]
    return bands


def _apart(stored: Array, count: int) -> tuple[Array, Array | None]:
    return stored[..., :count], stored[..., count] if stored.shape[2] > count else None


def _png_bytes(path: Path, *, low: bool) -> NDArray[np.uint8]:
    """The high or low bytes of a 16-bit PNG, which Pillow only reads one byte at a time."""
    with Image.open(path) as image:
        if low:
            image.tile = [tile._replace(args=_DEEP_PNG[str(tile.args)]) for tile in image.tile]
        return np.array(image)
