"""A user's own data set: `images/`, `masks/` and optionally `classes.txt` and lists of the splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torchseg.data.class_list import read_class_list
from torchseg.data.file_samples import FileSamples, check_sizes, share_of
from torchseg.data.image_io import picture_size
from torchseg.data.mask_encoding import find_encoding
from torchseg.data.mask_io import MaskHeader, read_header
from torchseg.data.pairing import Pairing, pair_files
from torchseg.data.sample import DataSet
from torchseg.data.split_lists import PARTS, by_folder, find_lists, read_split_lists

_TEST_BELOW, _VALIDATION_BELOW = 0.15, 0.30
Pairs = Sequence[tuple[Path, Path]]


def folder(root: Path, *, mask_suffix: str = "", ignore_value: int | None = None) -> DataSet:
    """Reads images from `root/images`, and masks of the same or related names from `root/masks` (see `pair_files`).

    `classes.txt` has one class per line, in the order of the mask values: a name, followed by its colour if masks are
    coloured (see `read_class_list`). With colours, an indexed mask is read through its palette. Without the file, the
    values of masks are named `class_0`, `class_1`, ..., and masks of 0 and 255 alone are masks of two classes. A colour
    or value that stands for no class is an error; black is ignored unless a class has it. An image's split (train,
    validation, test: 70, 15 and 15 %) depends only on its file name, unless `train.txt`, `validation.txt` (or
    `val.txt`) and `test.txt` list the names, or `images/` has subfolders called train, val and test.

    Args:
        root: of the data set.
        mask_suffix: what the name of a mask has behind that of its image. Default: found from the names.
        ignore_value: value of masks without colours that is ignored as 255 is.

    Raises:
        ValueError: naming what is missing or invalid.
    """
    for name, holds in (("images", "images"), ("masks", "a mask for every image in images/")):
        if not (root / name).is_dir():
            raise ValueError(f"there is no folder {root / name}; expected one with {holds}")
    paired = pair_files(root / "images", root / "masks", mask_suffix=mask_suffix)
    listing, lists = root / "classes.txt", find_lists(root)
    parts, note = _parts(paired, lists, root)
    encoding = find_encoding(
        _headers(paired.pairs), read_class_list(listing) if listing.is_file() else None, ignored=ignore_value
    )
    for part, chosen in parts.items():
        if not chosen:
            raise ValueError(f"{root} has {len(paired.pairs)} images and none for {part}; add more (30 or so)")
    train, validation, test = (
        FileSamples(
            parts[part],
            classes=encoding.classes,
            read=encoding.read,
            decode=encoding.decode,
            name=paired.names.__getitem__,
        )
        for part in PARTS
    )
    files = [file for pair in paired.pairs for file in pair]
    files += [path for path in (listing, *lists.values()) if path.is_file()]
    notes = tuple(filter(None, (encoding.note, *paired.notes, note)))
    return DataSet(classes=encoding.classes, train=train, validation=validation, test=test, files=files, notes=notes)


def _headers(pairs: Pairs) -> dict[Path, MaskHeader]:
    """Header by mask; raises ValueError if a mask has another size than its image."""
    headers = {}
    for picture, mask in pairs:
        headers[mask] = read_header(mask)
        check_sizes(picture, picture_size(picture), mask, headers[mask].size)
    return headers


def _parts(paired: Pairing, lists: Mapping[str, Path], root: Path) -> tuple[dict[str, Pairs], str]:
    """The pairs of each split, and a sentence about images that are in none."""
    masks, note = dict(paired.pairs), ""
    chosen = by_folder(list(masks), root / "images") if not lists else None
    if lists:
        chosen, note = read_split_lists(lists, {name: path for path, name in paired.names.items()})
    if chosen is None:
        return _by_name(paired), note
    return {part: [(picture, masks[picture]) for picture in pictures] for part, pictures in chosen.items()}, note


def _by_name(paired: Pairing) -> dict[str, Pairs]:
    bounds = {"train": (_VALIDATION_BELOW, 1), "validation": (_TEST_BELOW, _VALIDATION_BELOW), "test": (0, _TEST_BELOW)}
    return {
        part: [pair for pair in paired.pairs if lower <= share_of(paired.names[pair[0]]) < upper]
        for part, (lower, upper) in bounds.items()
    }
