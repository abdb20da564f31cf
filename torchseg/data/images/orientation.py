"""Checks that masks belong to images as their EXIF orientation shows them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from torchseg.data.images.bands import read_header, reading
from torchseg.data.images.reader import Exif, ImageReader
from torchseg.data.masks.io import MaskHeader
from torchseg.data.masks.io import read_header as read_mask_header

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
    masks: Mapping[Path, MaskHeader] = MappingProxyType({}),
    size_of: Callable[[Path], tuple[int, int]] = mask_size,
) -> None:
    """Compares the sizes of images that have an EXIF orientation with those of their masks.

    Editors of masks often ignore the orientation, and then the mask lies on its side. Where the sizes cannot tell, a
    warning names the files.

    Args:
        pairs: image and mask files; where the mask is drawn from annotations, the image's file twice.
        exif: how images are read.
        masks: headers of masks, as far as they are known.
        size_of: height and width of a mask.

    Raises:
        ValueError: naming the files, if a mask fits its image only the other way round, or has an orientation itself.
    """
    for mask, stored in masks.items():
        if stored.orientation in _CHANGED and stored.is_tiff != (exif == "apply"):
            advice = " or have images and masks read as stored: --exif ignore" if exif == "apply" else ""
            raise ValueError(
                f"mask {mask} has an EXIF orientation ({stored.orientation}) of its own; save it as it looks, without "
                f"EXIF,{advice}".rstrip(",")
            )
    undecided = []
    for picture, mask in pairs:
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
            "%d images have an EXIF orientation and are turned or mirrored by it, and their masks are not (%s%s): if "
            "the masks were drawn on the images as stored, --exif ignore reads those so",
            len(undecided),
            names,
            ", ..." if len(undecided) > _NAMED else "",
        )


def _both(exif: Exif) -> tuple[Exif, Exif]:
    return ("apply", "ignore") if exif == "apply" else ("ignore", "apply")
