"""Reads masks with Pillow; every error names the faulty file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from torchseg.data.images.bands import ORIENTATION, check_one_image
from torchseg.data.images.io import open_image
from torchseg.data.images.known_headers import read_once
from torchseg.data.images.memory import check_memory
from torchseg.data.masks.exact import check_one_value, exact_values, is_lossy, step_of_shades

_MAY_TURN = {"exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"}  # what Pillow keeps of a file's header
_BYTES_PER_PIXEL = 20  # Pillow's image, what it is converted to, arrays of both, and comparisons
_COLOURED = ("RGB", "RGBA", "RGBX", "LA", "La", "PA", "RGBa")


@dataclass(frozen=True, kw_only=True)
class MaskHeader:
    """What the header of a mask file says.

    Attributes:
        size: height and width in pixels.
        mode: of Pillow, e.g. `L`, `P` or `RGB`.
        palette: colours of an indexed file, uint8 `(N, 3)`; None for other files.
        is_lossy: whether its format changes values, as JPEG does.
        orientation: of EXIF, 1 to 8; 1 is upright. Only that of a TIFF is applied.
        is_tiff: whether it is a TIFF.
    """

    size: tuple[int, int]
    mode: str
    palette: NDArray[np.uint8] | None = None
    is_lossy: bool = False
    orientation: int = 1
    is_tiff: bool = False

    @property
    def is_turned(self) -> bool:
        """Whether it has an orientation other than upright."""
        return self.orientation in range(2, 9)

    @property
    def is_grey(self) -> bool:
        """Whether it holds one number per pixel and no colours of its own: grey, or indexed with shades of grey."""
        if self.palette is not None:
            return bool((self.palette == self.palette[:, :1]).all())
        return self.mode not in _COLOURED


@read_once
def read_header(path: Path) -> MaskHeader:
    """Reads the header only.

    Raises:
        ValueError: naming the file, if it is missing, not an image, several images, or has too many bands for a mask.
    """
    if path.suffix.lower() in (".tif", ".tiff") and path.is_file():
        check_one_value(path)
    with open_image(path) as image:
        check_one_image(image)
        width, height = image.size
        may_turn = image.format == "TIFF" or not _MAY_TURN.isdisjoint(image.info)
        return MaskHeader(
            size=(height, width),
            mode=image.mode,
            palette=_palette(image),
            is_lossy=is_lossy(image),
            orientation=int(image.getexif().get(ORIENTATION, 1)) if may_turn else 1,
            is_tiff=image.format == "TIFF",
        )


def _check_memory(image: Image.Image, path: Path) -> None:
    """Raises a ValueError if an opened mask would take too much memory to decode."""
    check_memory(path, (image.height, image.width), bytes_per_pixel=_BYTES_PER_PIXEL)


def read_mask(path: Path) -> NDArray[np.uint8]:
    """Reads a mask as stored, uint8: `(H, W)` for indexed or greyscale files, `(H, W, 3)` for coloured ones.

    A black-and-white file gives 0 and 1, and one of 2 or 4 bits the numbers that these hold. A file of 16 or 32 bits
    is read if no value is above 255, or all are 8-bit values times 257. Transparent pixels of a coloured file are
    black. A coloured file whose channels are equal everywhere is a greyscale one.

    Raises:
        ValueError: naming the file, if it is missing, truncated, or not a mask.
    """
    with open_image(path) as image:
        _check_memory(image, path)
        step, stored = step_of_shades(image), exact_values(image, path)
        if stored is None:
            image.load()
            if image.mode == "1":
                return np.asarray(image.convert("L")) // 255
            if image.mode in ("L", "P"):
                return np.asarray(image) // step if step > 1 else np.asarray(image)
            if image.mode not in _COLOURED:
                raise ValueError(f"{path} is a {image.mode} image; a mask must be grey, indexed or RGB: save it as PNG")
            stored = _colours(image)
    if stored.ndim == 2:
        return stored
    colours = _painted(stored, path)
    return colours[..., 0] if (colours == colours[..., :1]).all() else colours


def read_colours(path: Path) -> NDArray[np.uint8]:
    """Reads the colours of a mask, uint8 `(H, W, 3)`; those of an indexed file come from its palette.

    Transparent pixels of a file without palette are black.

    Raises:
        ValueError: naming the file, if it is missing or truncated.
    """
    with open_image(path) as image:
        _check_memory(image, path)
        stored = exact_values(image, path)
        if stored is None:
            image.load()
            stored = _colours(image) if image.mode in _COLOURED else np.asarray(image.convert("RGB"))
    return np.repeat(stored[..., None], 3, axis=2) if stored.ndim == 2 else _painted(stored, path)


def read_shades(path: Path) -> NDArray[np.uint8]:
    """Reads shades of grey, uint8 `(H, W)`, those of an indexed file from its palette; raises like `read_colours`."""
    return np.ascontiguousarray(read_colours(path)[..., 0])


def read_by_kind(path: Path) -> NDArray[np.uint8]:
    """Reads values `(H, W)` from a grey file and colours `(H, W, 3)` from any other; raises like both readers."""
    return read_mask(path) if read_header(path).is_grey else read_colours(path)


def _colours(image: Image.Image) -> NDArray[np.uint8]:
    """Colours `(H, W, 3)`, or `(H, W, 4)` with opacity."""
    mode = "RGB" if image.mode in ("RGB", "RGBX") else "RGBA"
    return np.asarray(image if image.mode == mode else image.convert(mode))


def _painted(stored: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:
    """Colours `(H, W, 3)` of colours with or without opacity, `(H, W, 4)` or `(H, W, 3)`: transparent pixels are black.

    Where the colour is black everywhere and only the transparency varies, opaque pixels are white. A file that is
    transparent all over and yet holds several colours is one whose transparency means nothing.
    """
    if stored.shape[2] == 3:
        return stored
    colours, opacity = stored[..., :3], stored[..., 3]
    if (opacity == 255).all():
        return np.ascontiguousarray(colours)
    has_one_colour = bool((colours == colours[:1, :1]).all())
    if not opacity.any():
        return np.zeros_like(colours) if has_one_colour else np.ascontiguousarray(colours)
    if np.ptp(opacity[opacity > 0]) > 0:
        raise ValueError(
            f"{path} has pixels of more than one transparency, whose class cannot be told; save the mask without "
            "smoothing and without transparency"
        )
    if has_one_colour and not colours.any():
        return np.repeat(np.where(opacity > 0, np.uint8(255), np.uint8(0))[..., None], 3, axis=2)
    return np.where(opacity[..., None] > 0, colours, np.uint8(0))


def _palette(image: Image.Image) -> NDArray[np.uint8] | None:
    if image.mode != "P":
        return None
    if image.palette is not None and image.palette.rawmode == "RGB":  # known before the pixels are decoded
        return np.frombuffer(bytes(image.palette.palette), np.uint8).reshape(-1, 3)
    return np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
