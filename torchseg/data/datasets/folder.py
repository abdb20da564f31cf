"""A user's own data set: `images/`, `masks/` and optionally `classes.txt` and lists of the splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from torchseg.data.colour_table import ColourTable
from torchseg.data.file_samples import FileSamples, check_pair, share_of
from torchseg.data.image_io import find_pictures
from torchseg.data.mask_io import read_mask
from torchseg.data.sample import DataSet
from torchseg.data.text_file import read_lines
from torchseg.spec import IGNORE_INDEX, nearest

_TEST_BELOW, _VALIDATION_BELOW = 0.15, 0.30
Colours = dict[int, int]  # packed RGB -> class
Pairs = list[tuple[Path, Path]]


def folder(root: Path) -> DataSet:
    """Reads images from `root/images`, and PNG masks of the same names from `root/masks`.

    `classes.txt` has one class per line, in the order of the mask values: a name, followed by its colour as `RRGGBB` if
    masks are coloured. Without it, the values of indexed masks are named `class_0`, `class_1`, ... A colour that no
    line names is an error; black is ignored unless a class has it. An image's split (train, validation, test: 70, 15
    and 15 %) depends only on its file name, unless `train.txt`, `validation.txt` and `test.txt` list the names, without
    suffix, one per line.

    Raises:
        ValueError: naming what is missing or invalid.
    """
    pictures = find_pictures(root / "images")
    if not (root / "masks").is_dir():
        raise ValueError(f"there is no folder {root / 'masks'}; expected a PNG mask for every image in images/")
    pairs = [(picture, root / "masks" / f"{picture.stem}.png") for picture in pictures]
    for picture, mask in pairs:
        check_pair(picture, mask)
    listing = root / "classes.txt"
    classes, colours = _read_classes(listing) if listing.is_file() else (_classes_in(pairs), {})
    table = ColourTable({0: IGNORE_INDEX} | colours, source=listing.name) if colours else None

    lists = {part: root / f"{part}.txt" for part in ("train", "validation", "test")}
    parts = _listed(pairs, lists) if any(path.is_file() for path in lists.values()) else _by_name(pairs)
    for part, chosen in parts.items():
        if not chosen:
            raise ValueError(f"{root} has {len(pairs)} images and none for {part}; add more (30 or so)")
    train, validation, test = (
        FileSamples(parts[part], classes=classes, decode=partial(_decode, table=table)) for part in lists
    )
    files = [file for pair in pairs for file in pair]
    files += [path for path in (listing, *lists.values()) if path.is_file()]
    return DataSet(classes=classes, train=train, validation=validation, test=test, files=files)


def _by_name(pairs: Pairs) -> dict[str, Pairs]:
    bounds = {"test": (0, _TEST_BELOW), "validation": (_TEST_BELOW, _VALIDATION_BELOW), "train": (_VALIDATION_BELOW, 1)}
    return {
        part: [pair for pair in pairs if lower <= share_of(pair[0].stem) < upper]
        for part, (lower, upper) in bounds.items()
    }


def _listed(pairs: Pairs, lists: Mapping[str, Path]) -> dict[str, Pairs]:
    known = {picture.stem: (picture, mask) for picture, mask in pairs}
    parts: dict[str, Pairs] = {}
    for part, path in lists.items():
        if not path.is_file():
            raise ValueError(f"there is no {path}; list the images of all three splits, or of none")
        names = [line.strip() for line in read_lines(path) if line.strip()]
        if missing := [name for name in names if name not in known]:
            hint = nearest(missing[0], known)
            raise ValueError(f"{path} names '{missing[0]}', but images/ has no such image{hint}; correct the list")
        parts[part] = [known[name] for name in names]
    return parts


def _read_classes(listing: Path) -> tuple[tuple[str, ...], Colours]:
    names: list[str] = []
    colours: Colours = {}
    for line in filter(None, (line.strip() for line in read_lines(listing))):
        name, _, colour = line.rpartition(" ")
        is_colour = (
            bool(name) and len(colour.lstrip("#")) == 6 and set(colour.lstrip("#").lower()) <= set("0123456789abcdef")
        )
        if is_colour:
            colours[int(colour.lstrip("#"), 16)] = len(names)
        names.append(name.strip() if is_colour else line)
    if len(names) < 2:
        raise ValueError(f"{listing} names {len(names)} classes; write at least two, one per line")
    return tuple(names), colours


def _classes_in(pairs: Sequence[tuple[Path, Path]]) -> tuple[str, ...]:
    highest = 1
    for _, path in pairs:
        mask = read_mask(path)
        if mask.ndim != 2:
            raise ValueError(f"mask {path} is coloured; add a classes.txt beside masks/ with lines like 'road 804080'")
        known = mask[mask != IGNORE_INDEX]
        highest = max(highest, int(known.max()) if known.size else 0)
    return tuple(f"class_{value}" for value in range(highest + 1))


def _decode(stored: NDArray[np.uint8], *, table: ColourTable | None) -> NDArray[np.uint8]:
    if stored.ndim == 2:
        return stored
    if table is None:
        raise ValueError("it is coloured, but classes.txt gives no colours; write lines like 'road 804080'")
    return table.decode(stored)
