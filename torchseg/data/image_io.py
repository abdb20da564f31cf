"""Reads images and writes data sets with Pillow; every error names the faulty file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from torchseg.checks import check_no_device
from torchseg.data.sample import DataSet, Fit
from torchseg.data.transforms import BoundedSamples

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")

PARTS = ("train", "validation", "test")


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Reads an image as RGB with its EXIF orientation applied, uint8 `(H, W, 3)`.

    Raises:
        ValueError: naming the file, if it is missing, truncated, not an image, or has more than 8 bits per channel.
    """
    return read_reduced(path)[0]


def read_reduced(path: Path, fit: Fit | None = None) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Reads an image like `read_picture`, but possibly at a reduced size.

    Args:
        path: of the file.
        fit: takes the full height and width and returns those that are enough. A JPEG that is at least that large at
            1/2, 1/4 or 1/8 of its size is decoded at that scale, in half the time or less; other formats are always
            read at full size. Default: full size.

    Returns:
        The image, uint8 `(H, W, 3)`, and the height and width of the full image.

    Raises:
        ValueError: under the same conditions as `read_picture`.
    """
    with open_image(path, decode=False) as image:
        full = _size(image)
        if image.mode.startswith(("I", "F")):  # Pillow would clip every value above 255
            raise ValueError(f"{path} is a {image.mode} image; an image must have 8 bits a colour: save it as such")
        if fit:
            height, width = fit(*full)
            image.draft(None, (height, width) if _is_turned(image) else (width, height))
        ImageOps.exif_transpose(image, in_place=True)
        return np.asarray(image if image.mode == "RGB" else image.convert("RGB")), full


def picture_size(path: Path) -> tuple[int, int]:
    """Height and width in pixels, read from the header only, with the EXIF orientation applied."""
    with open_image(path, decode=False) as image:
        return _size(image)


def find_pictures(folder: Path) -> list[Path]:
    """Image files directly in `folder`, sorted by name.

    Raises:
        ValueError: if the folder is missing or holds no images.
    """
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}; expected one with images ({', '.join(SUFFIXES)})")
    pictures = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    for path in pictures:
        check_no_device(path)
    if not pictures:
        raise ValueError(f"{folder} holds no images; expected files ending in {', '.join(SUFFIXES)}")
    return pictures


def _size(image: Image.Image) -> tuple[int, int]:
    width, height = image.size
    return (width, height) if _is_turned(image) else (height, width)


def _is_turned(image: Image.Image) -> bool:
    """Whether the EXIF orientation swaps height and width."""
    return image.getexif().get(0x0112, 1) in (5, 6, 7, 8)


@contextmanager
def open_image(path: Path, *, decode: bool = True) -> Iterator[Image.Image]:
    """Opens an image file; errors while it is open and read name it. `decode` reads all pixels at once."""
    _check_name(path)
    with ExitStack() as opened:
        try:
            image = Image.open(opened.enter_context(path.open("rb")))
            if decode:
                image.load()
            yield image  # lazy reads, such as that of a PNG's orientation, may fail here too
        except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError) as error:
            raise ValueError(f"cannot read the image {path}: {error}; replace the file or remove it") from error


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


def check_new_folder(folder: Path, *, flag: str) -> None:
    """Raises a ValueError that names the flag unless the folder is missing or empty."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"--{flag} {folder} exists already; give a new folder for the copy")


def write_folder(
    data: DataSet, root: Path, *, size: tuple[int, int], on_picture: Callable[[], object] = lambda: None
) -> None:
    """Writes `images/`, `masks/`, `classes.txt`, and a list of names per split, so that the splits stay the same.

    Images that are larger than training at `size` can use are downscaled; their aspect ratio stays. Files are PNG, so
    compression loses nothing.

    Args:
        data: the data set to copy; images without masks are left out.
        root: a new or empty folder.
        size: height and width that networks will see.
        on_picture: called after each image.

    Raises:
        ValueError: if the folder is not empty.
    """
    check_new_folder(root, flag="out")
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in data.classes), encoding="utf-8")
    for part in PARTS:
        samples = BoundedSamples(getattr(data, part), height=size[0], width=size[1])
        names = []
        for index in range(len(samples)):
            sample = samples[index]
            Image.fromarray(sample.picture).save(root / "images" / f"{sample.name}.png")
            Image.fromarray(sample.mask).save(root / "masks" / f"{sample.name}.png")
            names.append(sample.name)
            on_picture()
        (root / f"{part}.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
