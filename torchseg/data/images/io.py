"""Reads images and writes data sets with Pillow; every error names the faulty file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from torchseg.atomic_file import naming, save_text
from torchseg.checks import check_no_device
from torchseg.data.images.bands import reading
from torchseg.data.sample import DataSet
from torchseg.data.transforms import BoundedSamples

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".npy")

PARTS = ("train", "validation", "test")
_SYSTEM = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "#recycle", "$recycle.bin", "lost+found"}


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name belongs to a system or an editor, such as `._a.png` and `__MACOSX`."""
    return name.startswith(".") or name.endswith("~") or name.lower() in _SYSTEM


def find_files(folder: Path, pattern: str) -> list[Path]:
    """Paths below a folder that match a pattern of `Path.glob`, sorted, without hidden ones and those inside them."""
    return sorted(path for path in folder.glob(pattern) if not any(map(is_hidden, path.relative_to(folder).parts)))


def find_pictures(folder: Path) -> list[Path]:
    """Image files directly in `folder`, sorted by name, without hidden ones.

    Raises:
        ValueError: if the folder is missing or holds no images.
    """
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}; expected one with images ({', '.join(SUFFIXES)})")
    pictures = [path for path in find_files(folder, "*") if path.suffix.lower() in SUFFIXES]
    for path in pictures:
        check_no_device(path)
    if not pictures:
        raise ValueError(f"{folder} holds no images; expected files ending in {', '.join(SUFFIXES)}")
    return pictures


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """Opens an image file without decoding it; errors while it is open and read name it."""
    with reading(path), ExitStack() as opened:
        yield Image.open(opened.enter_context(path.open("rb")))


def check_new_folder(folder: Path, *, flag: str) -> None:
    """Raises a ValueError that names the flag unless the folder is missing or empty."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"--{flag} {folder} exists already; give a new folder for the copy")


def write_folder(
    data: DataSet, root: Path, *, size: tuple[int, int], on_picture: Callable[[], object] = lambda: None
) -> None:
    """Writes `images/`, `masks/`, `classes.txt`, and a list of names per split, so that the splits stay the same.

    Images that are larger than training at `size` can use are downscaled; their aspect ratio stays. Files are PNG, so
    compression loses nothing; images of other than one or three channels are NumPy arrays.

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
    save_text(root / "classes.txt", "".join(f"{name}\n" for name in data.classes))
    for part in PARTS:
        samples = BoundedSamples(getattr(data, part), height=size[0], width=size[1])
        names = []
        for index in range(len(samples)):
            sample = samples[index]
            _save(sample.picture, root / "images" / sample.name)
            mask = root / "masks" / f"{sample.name}.png"
            with naming(mask):
                Image.fromarray(sample.mask).save(mask)
            names.append(sample.name)
            on_picture()
        save_text(root / f"{part}.txt", "".join(f"{name}\n" for name in names))


def write_lists(parts: Mapping[str, Sequence[Path]], root: Path) -> None:
    """Writes a list of names for each split of images that lie in `root/images`."""
    for part, files in parts.items():
        save_text(root / f"{part}.txt", "".join(f"{path.stem}\n" for path in files))


def _save(picture: NDArray[np.uint8], path: Path) -> None:
    with naming(path):
        if picture.shape[2] in (1, 3):
            Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).save(f"{path}.png")
        else:
            np.save(f"{path}.npy", picture)
