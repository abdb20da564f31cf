"""Checks that masks belong to images as their EXIF orientation shows them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from torchseg.data.images.bands import as_stored, read_header, reading, upright
from torchseg.data.images.reader import Exif, ImageReader
from torchseg.data.masks.io import read_header as read_mask_header
from torchseg.plural import counted, verb

_log = logging.getLogger(__name__)
_NAMED = 3  # files in a warning
_CHANGED = range(2, 9)  # orientations other than upright


def mask_size(mask: Path) -> tuple[int, int]:
    """Height and width of a mask as its header gives them."""
    return read_mask_header(mask).size


def check_orientation(
    pairs: Sequence[tuple[Path, Path]],
    exif: Exif,
    *,
    size_of: Callable[[Path], tuple[int, int]] = mask_size,
) -> None:
    """Compares the sizes of images that have an EXIF orientation with those of their masks.

    Editors of masks often ignore the orientation, and then the mask lies on its side. Where the sizes cannot tell, a
    warning names the files.

    Args:
        pairs: image and mask files; where the mask is drawn from annotations, the image's file twice.
        exif: how images are read.
        size_of: height and width of a mask.

    Raises:
        ValueError: naming the files, if a mask fits its image only the other way round, or has an orientation itself.
    """
    undecided = []
    for picture, mask in pairs:
        if mask != picture:
            _check_mask(mask, exif)
        with reading(picture):
            header = read_header(picture)
        if header.orientation not in _CHANGED:
            continue
        size, other = (ImageReader(exif=each).size(picture) for each in _both(exif))
        if size == other:
            undecided.append(picture)
        elif size_of(mask) == other:
            advice = "--exif ignore reads the image as stored" if exif == "apply" else "leave --exif ignore out"
            what = f"mask {mask}" if mask != picture else f"the annotation of {picture}"
            raise ValueError(
                f"{what} is {other[0]}x{other[1]}, but its image {picture} is {size[0]}x{size[1]} with its EXIF "
                f"orientation ({header.orientation}) {'applied' if exif == 'apply' else 'ignored'}: {advice}"
            )
    if undecided and exif == "apply":
        names = ", ".join(str(path) for path in undecided[:_NAMED])
        _log.warning(
            "%s an EXIF orientation and %s turned or mirrored by it, and the masks are not (%s%s): if "
            "the masks were drawn on the images as stored, --exif ignore reads those so",
            f"{counted(len(undecided), 'image')} {verb(len(undecided), 'has', 'have')}",
            verb(len(undecided), "is", "are"),
            names,
            ", ..." if len(undecided) > _NAMED else "",
        )


def mask_as_it_looks(path: Path, values: NDArray[np.uint8], exif: Exif) -> tuple[NDArray[np.uint8], str]:
    """What was read from a mask, turned like images are read, and a sentence about that; empty if nothing was turned.

    Args:
        path: of the mask.
        values: `(H, W)` as `read_mask` returns them; that applies the orientation of a TIFF.
        exif: how images are read.
    """
    header = read_mask_header(path)
    if not header.is_turned or header.is_tiff == (exif == "apply"):
        return values, ""
    if exif == "ignore":
        return as_stored(values, header.orientation), f"mask {path} was saved as it is stored"
    turned = upright(values, header.orientation)
    return turned, f"mask {path} was turned as its EXIF orientation ({header.orientation}) says"


def _check_mask(mask: Path, exif: Exif) -> None:
    stored = read_mask_header(mask)
    if stored.is_turned and stored.is_tiff != (exif == "apply"):
        advice = ", or have images and masks read as stored: --exif ignore" if exif == "apply" else ""
        raise ValueError(
            f"mask {mask} has an EXIF orientation ({stored.orientation}) of its own; save it as it looks, without "
            f"EXIF{advice}"
        )


def _both(exif: Exif) -> tuple[Exif, Exif]:
    return ("apply", "ignore") if exif == "apply" else ("ignore", "apply")
