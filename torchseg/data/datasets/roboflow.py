"""Exports by Roboflow as "Semantic Segmentation Masks". Source: https://roboflow.com ."""

from __future__ import annotations

import csv
from pathlib import Path

from torchseg.data.datasets.folder import read_headers
from torchseg.data.file_samples import FileSamples
from torchseg.data.images.io import SUFFIXES, find_files
from torchseg.data.masks.class_list import ClassList
from torchseg.data.masks.encoding import find_encoding
from torchseg.data.sample import DataSet
from torchseg.data.splits.official import split_named, three_splits
from torchseg.data.text_file import read_lines

_CLASSES, _MASK = "_classes.csv", "_mask.png"


def roboflow(root: Path) -> DataSet:
    """Reads `SPLIT/NAME.jpg`, `SPLIT/NAME_mask.png` and `SPLIT/_classes.csv` (pixel value, class).

    The splits are the folders train, valid and test; of missing ones see `three_splits`.

    Raises:
        ValueError: naming what is missing or invalid.
    """
    listings = find_files(root, f"*/{_CLASSES}")
    if not listings:
        raise ValueError(f"{root} has no */{_CLASSES}; give the folder with train/, valid/ and test/ as --root")
    lists = {path: _read(path) for path in listings}
    first = lists[listings[0]]
    for path, classes in lists.items():
        if classes != first:
            raise ValueError(f"{listings[0]} and {path} give other classes; export the data set again")
    parts: dict[str, list[tuple[Path, Path]]] = {}
    for listing in listings:
        pairs = parts.setdefault(split_named(listing.parent.name), [])
        for mask in find_files(listing.parent, f"*{_MASK}"):
            pairs.append((_image(mask), mask))
    encoding = find_encoding(read_headers([pair for pairs in parts.values() for pair in pairs]), first)
    train, validation, test = (
        FileSamples(pairs, classes=encoding.classes, read=encoding.read, decode=encoding.decode)
        for pairs in three_splits(parts).values()
    )
    files = [*listings, *(file for pairs in parts.values() for pair in pairs for file in pair)]
    return DataSet(classes=encoding.classes, train=train, validation=validation, test=test, files=files)


def _read(listing: Path) -> ClassList:
    """Names by value, from rows `value, name` below a heading."""
    rows = [row for row in csv.reader(read_lines(listing)) if row and row[0].strip().isdecimal()]
    values = {int(row[0]): row[1].strip() for row in rows if len(row) > 1}
    if len(values) < 2 or len(set(values.values())) < len(values):
        raise ValueError(
            f"{listing} names {len(values)} classes; expected rows such as '1, car', each with its own name"
        )
    numbers = {value: position for position, value in enumerate(sorted(values))}
    return ClassList(names=tuple(values[value] for value in numbers), values=numbers, source=_CLASSES)


def _image(mask: Path) -> Path:
    stem = mask.name.removesuffix(_MASK)
    found = [mask.with_name(f"{stem}{ending}") for ending in SUFFIXES]
    image = next((path for path in found if path.is_file()), None)
    if image is None:
        raise ValueError(f"mask {mask} has no image: expected {found[0]}; add the image or remove the mask")
    return image
