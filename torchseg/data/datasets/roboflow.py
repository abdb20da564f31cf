"""Exports by Roboflow as "Semantic Segmentation Masks". Source: https://roboflow.com ."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from torchseg.data.datasets.folder import read_headers
from torchseg.data.file_samples import FileSamples
from torchseg.data.images.io import SUFFIXES, find_files
from torchseg.data.masks.class_list import ClassList
from torchseg.data.masks.encoding import find_encoding
from torchseg.data.named_files import unique_names
from torchseg.data.pairing import normal
from torchseg.data.sample import DataSet
from torchseg.data.splits.official import split_named, three_splits
from torchseg.data.text_file import read_lines
from torchseg.plural import counted, verb

_CLASSES, _MASK = "_classes.csv", "_mask.png"


def roboflow(root: Path) -> DataSet:
    """Reads `SPLIT/NAME.jpg`, `SPLIT/NAME_mask.png` and `SPLIT/_classes.csv` (pixel value, class).

    The splits are the folders train, valid and test; of missing ones see `three_splits`. All may be in `root` itself.
    Images without mask are left out, and their number is told.

    Raises:
        ValueError: naming what is missing or invalid.
    """
    listings = find_files(root, f"*/{_CLASSES}") or find_files(root, _CLASSES)
    if not listings:
        raise ValueError(f"{root} has no */{_CLASSES}; give the folder with train/, valid/ and test/ as --root")
    lists = {path: _read(path) for path in listings}
    first = lists[listings[0]]
    for path, classes in lists.items():
        if classes != first:
            raise ValueError(f"{listings[0]} and {path} give other classes; export the data set again")
    parts: dict[str, list[tuple[Path, Path]]] = {}
    without = 0
    for listing in listings:
        inside = [path for path in find_files(listing.parent, "*") if path.suffix.lower() in SUFFIXES]
        masks = [path for path in inside if path.name.lower().endswith(_MASK)]
        parts.setdefault(split_named(listing.parent.name), []).extend(_pairs(masks, set(inside) - set(masks)))
        without += len(inside) - 2 * len(masks)
    every = [pair for pairs in parts.values() for pair in pairs]
    encoding = find_encoding(read_headers(every), first)
    names = unique_names([image for image, _ in every])
    train, validation, test = (
        FileSamples(pairs, classes=encoding.classes, read=encoding.read, decode=encoding.decode, name=names.__getitem__)
        for pairs in three_splits(parts).values()
    )
    files = [*listings, *(file for pair in every for file in pair)]
    has = verb(without, "has no mask and is", "have no mask and are")
    notes = (f"{counted(without, 'image')} {has} left out",) if without else ()
    return DataSet(classes=encoding.classes, train=train, validation=validation, test=test, files=files, notes=notes)


def _read(listing: Path) -> ClassList:
    """Names by value, from rows `value, name` below a heading."""
    lines = read_lines(listing)
    mark = next((mark for mark in ",;\t" if any(mark in line for line in lines)), ",")
    rows = [row for row in csv.reader(lines, delimiter=mark) if row and row[0].strip().isdecimal()]
    values = {int(row[0]): row[1].strip() for row in rows if len(row) > 1}
    if len(values) < 2 or len(set(values.values())) < len(values):
        raise ValueError(
            f"{listing} names {len(values)} classes; expected rows such as '1, car', each with its own name"
        )
    numbers = {value: position for position, value in enumerate(sorted(values))}
    return ClassList(names=tuple(values[value] for value in numbers), values=numbers, source=_CLASSES)


def _pairs(masks: Sequence[Path], images: set[Path]) -> Iterator[tuple[Path, Path]]:
    """Image and mask; raises a ValueError that names a mask without image."""
    known = {normal(path.stem): path for path in sorted(images)}
    for mask in masks:
        stem = mask.name[: -len(_MASK)]
        if normal(stem) not in known:
            expected = mask.with_name(f"{stem}{SUFFIXES[0]}")
            raise ValueError(f"mask {mask} has no image: expected {expected}; add the image or remove the mask")
        yield known[normal(stem)], mask
