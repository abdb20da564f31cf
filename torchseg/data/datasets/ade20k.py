"""ADE20K for scene parsing, and data sets in its layout. Source: http://sceneparsing.csail.mit.edu ."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from torchseg.data.file_samples import FileSamples, check_pair
from torchseg.data.images.io import find_files, find_pictures
from torchseg.data.masks.io import read_mask
from torchseg.data.masks.value_table import ValueTable
from torchseg.data.named_files import NamedFiles, unique_names
from torchseg.data.pairing import MASK_SUFFIXES
from torchseg.data.sample import DataSet
from torchseg.data.splits.official import split_named, three_splits
from torchseg.data.text_file import read_lines
from torchseg.spec import IGNORE_INDEX

FOLDER = "ADEChallengeData2016"
_NAMES = "objectInfo150.txt"


def ade20k(root: Path) -> DataSet:
    """Reads `images/SPLIT/*.jpg` and `annotations/SPLIT/*.png`, in `root` or `root/ADEChallengeData2016`.

    Without folders for splits, images and masks are directly in those two, and the name of an image decides.

    The value 0 is ignored, and class N has the value N + 1. Names are in `objectInfo150.txt`; without the file, the
    highest value gives the number of classes. The official test split has no masks, so the validation split is the
    test split, and about 15 % of training is the validation split.

    Raises:
        ValueError: naming what is missing or invalid.
    """
    folder = root / FOLDER if (root / FOLDER).is_dir() else root
    if not (folder / "annotations").is_dir():
        raise ValueError(f"{folder} has no annotations/; give the folder with images/ and annotations/ as --root")
    parts: dict[str, list[tuple[Path, Path]]] = {}
    masks = NamedFiles(MASK_SUFFIXES)
    inner = [path for path in find_files(folder / "annotations", "*") if path.is_dir()]
    for place in inner or [folder / "annotations"]:
        for picture in find_pictures(folder / "images" / (place.name if inner else "")):
            mask = masks.find(f"{picture.stem}{MASK_SUFFIXES[0]}", [place]) or place / f"{picture.stem}.png"
            check_pair(picture, mask)
            parts.setdefault(split_named(place.name) if inner else "", []).append((picture, mask))
    listing = folder / _NAMES
    classes = _names(listing) if listing.is_file() else _counted([mask for part in parts.values() for _, mask in part])
    values = {0: IGNORE_INDEX, IGNORE_INDEX: IGNORE_INDEX} | {value + 1: value for value in range(len(classes))}
    table = ValueTable(values, names=classes, source=_NAMES)
    names = unique_names([picture for pairs in parts.values() for picture, _ in pairs])
    train, validation, test = (
        FileSamples(pairs, classes=classes, decode=table.decode, name=names.__getitem__)
        for pairs in three_splits(parts).values()
    )
    files = [file for pairs in parts.values() for pair in pairs for file in pair]
    files += [listing] if listing.is_file() else []
    return DataSet(classes=classes, train=train, validation=validation, test=test, files=files)


def _names(listing: Path) -> tuple[str, ...]:
    """Names from lines `number, ratio, training, validation, name`, separated by tabs, below a heading."""
    rows = [line.split("\t") for line in read_lines(listing) if line.strip()]
    names = [row[-1].split(",")[0].strip() for row in rows if row[0].strip().isdecimal()]
    if len(names) < 2:
        raise ValueError(f"{listing} names {len(names)} classes; expected lines of a number, ..., and a name")
    repeated = {name for name in names if names.count(name) > 1}
    return tuple(f"{name} {number}" if name in repeated else name for number, name in enumerate(names, start=1))


def _counted(masks: list[Path]) -> tuple[str, ...]:
    highest = 2
    for mask in masks:
        stored = read_mask(mask)
        known = stored[stored != IGNORE_INDEX]
        highest = max(highest, int(known.max()) if known.size else 0)
    return tuple(f"class_{value}" for value in np.arange(1, highest + 1).tolist())
