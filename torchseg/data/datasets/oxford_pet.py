"""The Oxford-IIIT Pet data set in its official layout. Source: https://www.robots.ox.ac.uk/~vgg/data/pets/ ."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from torchseg.data.file_samples import FileSamples, check_pair, share_of
from torchseg.data.sample import DataSet
from torchseg.data.text_file import read_lines
from torchseg.spec import IGNORE_INDEX

FOLDER = "oxford-iiit-pet"
CLASSES = ("pet", "background", "border")  # trimap values 1, 2, 3
BINARY_CLASSES = ("background", "pet")  # the object is class 1, as for files with one output channel
_VALIDATION_SHARE = 0.15


def oxford_pet(root: Path) -> DataSet:
    """Reads the data set in `root` or `root/oxford-iiit-pet`.

    The test split is the official one; a fixed 15 % or so of the official trainval split is the validation split.

    Raises:
        ValueError: if the folder, a list, an image or a mask is missing.
    """
    return _open(root, partial(FileSamples, classes=CLASSES, decode=_from_trimap))


def oxford_pet_binary(root: Path) -> DataSet:
    """The same images and splits with two classes, background and pet; the unclassified border is ignored."""
    return _open(root, partial(FileSamples, classes=BINARY_CLASSES, decode=_without_border))


def _open(root: Path, samples: Callable[..., FileSamples]) -> DataSet:
    folder = root / FOLDER if (root / FOLDER).is_dir() else root
    for needed in ("images", "annotations/trimaps", "annotations/trainval.txt", "annotations/test.txt"):
        if not (folder / needed).exists():
            raise ValueError(
                f"{folder} has no {needed}; give the Oxford-IIIT Pet folder (images/ and annotations/) or the folder "
                f"that holds {FOLDER}/ as --root, or add --download to fetch it"
            )
    trainval = _read_list(folder, "trainval")
    train = samples(_pairs(folder, [name for name in trainval if share_of(name) >= _VALIDATION_SHARE]))
    return DataSet(
        classes=train.classes,
        train=train,
        validation=samples(_pairs(folder, [name for name in trainval if share_of(name) < _VALIDATION_SHARE])),
        test=samples(_pairs(folder, _read_list(folder, "test"))),
        files=sorted([*folder.glob("images/*.jpg"), *folder.glob("annotations/**/*.*")]),
    )


def download_oxford_pet(root: Path) -> None:
    """Downloads the data set into `root/oxford-iiit-pet` through torchvision, if it is not there yet.

    Raises:
        ValueError: if the download fails.
    """
    from torchvision.datasets import OxfordIIITPet

    try:
        OxfordIIITPet(root, target_types="segmentation", download=True)
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"cannot download Oxford-IIIT Pet into {root}: {error}; check the connection, or fetch images.tar.gz and "
            f"annotations.tar.gz from its home page and unpack both into {root / FOLDER}"
        ) from error


def _read_list(folder: Path, name: str) -> list[str]:
    lines = read_lines(folder / "annotations" / f"{name}.txt")
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]


def _pairs(folder: Path, names: list[str]) -> list[tuple[Path, Path]]:
    pairs = [(folder / "images" / f"{name}.jpg", folder / "annotations/trimaps" / f"{name}.png") for name in names]
    for picture, mask in pairs:
        check_pair(picture, mask)
    return pairs


def _from_trimap(stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if stored.ndim != 2 or not stored.min() >= 1 <= stored.max() <= len(CLASSES):
        raise ValueError("it is no trimap; expected the values 1 (pet), 2 (background) and 3 (border)")
    return stored - np.uint8(1)


def _without_border(stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
    names = [BINARY_CLASSES.index(name) if name in BINARY_CLASSES else IGNORE_INDEX for name in CLASSES]
    return np.array(names, np.uint8)[_from_trimap(stored)]
