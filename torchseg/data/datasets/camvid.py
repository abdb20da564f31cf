"""CamVid with the usual eleven classes. Source: http://mi.eng.cam.ac.uk/research/projects/VideoRec/ ."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from torchseg.data.file_samples import FileSamples, check_pair
from torchseg.data.sample import DataSet, UnmaskedSamples
from torchseg.data.text_file import read_lines
from torchseg.spec import IGNORE_INDEX

FOLDER = "camvid"
CLASSES = (
    *("sky", "building", "pole", "road", "pavement", "tree"),
    *("sign", "fence", "car", "pedestrian", "bicyclist"),
)
_VOID = 11
_LISTS = {"train": "train.txt", "validation": "val.txt", "test": "test.txt"}


def camvid(root: Path) -> DataSet:
    """Reads the data set in `root` or `root/camvid`: three lists with an image and a label file per line.

    Paths are relative to the folder. Of absolute paths, as in the lists published with SegNet, only the last two
    components are used. Void pixels (value 11) are ignored. The images of the training and the validation split,
    without their masks, are the transfer set.

    Raises:
        ValueError: if the folder, a list, an image or a label file is missing.
    """
    folder = root / FOLDER if (root / FOLDER).is_dir() else root
    parts = {part: _pairs(folder, name) for part, name in _LISTS.items()}
    train, validation, test = (
        FileSamples(parts[part], classes=CLASSES, decode=_without_void) for part in ("train", "validation", "test")
    )
    unmasked = FileSamples(parts["train"] + parts["validation"], classes=CLASSES, decode=_without_void)
    transfer = UnmaskedSamples(unmasked, ignore_index=IGNORE_INDEX)
    files = [folder / name for name in _LISTS.values()]
    files += [file for pairs in parts.values() for pair in pairs for file in pair]
    return DataSet(classes=CLASSES, train=train, validation=validation, test=test, transfer=transfer, files=files)


def _pairs(folder: Path, name: str) -> list[tuple[Path, Path]]:
    listing = folder / name
    if not listing.is_file():
        raise ValueError(
            f"{folder} has no {name}; give the CamVid folder (train.txt, val.txt, test.txt and the images they name) "
            f"or the folder that holds {FOLDER}/ as --root"
        )
    pairs = []
    for number, line in enumerate(read_lines(listing), start=1):
        if not line.strip():
            continue
        files = [_inside(folder, text) for text in line.split()]
        if len(files) != 2:
            raise ValueError(f"{listing}, line {number}: '{line}' names {len(files)} files; write 'IMAGE LABEL'")
        check_pair(*files)
        pairs.append((files[0], files[1]))
    return pairs


def _inside(folder: Path, text: str) -> Path:
    path = PurePosixPath(text)  # the lists hold POSIX paths on every system: a leading "/" is absolute on Windows too
    return folder / (PurePosixPath(*path.parts[-2:]) if path.is_absolute() else path)


def _without_void(stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.where(stored == _VOID, np.uint8(IGNORE_INDEX), stored)
