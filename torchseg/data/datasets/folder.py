"""A user's own data set: `images/`, `masks/` and optionally `classes.txt` and lists of the splits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from torchseg.data.file_samples import FileSamples, check_headers
from torchseg.data.images.orientation import check_orientation
from torchseg.data.images.reader import ANY, ImageReader, reader_for
from torchseg.data.inspection import grouped
from torchseg.data.masks.class_list import read_class_list
from torchseg.data.masks.encoding import MaskEncoding, find_encoding
from torchseg.data.masks.io import MaskHeader, read_header
from torchseg.data.pairing import Pairing, pair_files
from torchseg.data.places import Places, find_places
from torchseg.data.sample import DataSet
from torchseg.data.splits.folds import FOLD_RULE, Fold, split_by_fold
from torchseg.data.splits.grouping import AUTO, group_images
from torchseg.data.splits.lists import PARTS, by_folder, check_no_overlap, find_lists, read_split_lists, unread_lists
from torchseg.data.splits.stratified import SPLIT_RULE, Member, split_images
from torchseg.plural import counted
from torchseg.spec import IGNORE_INDEX

MOST_STRATIFIED = 300  # images whose masks are read to split them; with more, chance gives every class to every split
_LEAST_PIXELS = 16  # of a class in a mask that shows it
_SMALL = 64  # pixels, of an image that is only compared with others
Pairs = Sequence[tuple[Path, Path]]


def folder(
    root: Path,
    *,
    mask_suffix: str = "",
    ignore_value: int | None = None,
    group: str = AUTO,
    split: str = AUTO,
    fold: str = "",
    images: ImageReader = ANY,
) -> DataSet:
    """Reads images from `root/images`, and masks of the same or related names from `root/masks` (see `pair_files`).

    `classes.txt` has one class per line, in the order of the mask values: a name, followed by its colour if masks are
    coloured (see `read_class_list`). With colours, an indexed mask is read through its palette. Without the file, the
    values of masks are named `class_0`, `class_1`, ..., and masks of 0 and 255 alone are masks of two classes. A colour
    or value that stands for no class is an error; black is ignored unless a class has it. `train.txt`,
    `validation.txt` (or `val.txt`) and `test.txt` list the images of each split, or `images/` has subfolders called
    train, val and test; without either they are chosen (`split_images`).

    Args:
        root: of the data set.
        mask_suffix: what the name of a mask has behind that of its image. Default: found from the names.
        ignore_value: value of masks without colours that is ignored as 255 is.
        group: which images stay in one split, see `group_images`.
        split: `auto`, or `stratified`: chosen by the classes of all masks, whatever lists and subfolders say.
        fold: N/K to choose the splits by `split_by_fold`, e.g. 2/5; not with lists or subfolders.
        images: how to read images; the files say what it leaves open, see `reader_for`.

    Raises:
        ValueError: naming what is missing or invalid.
    """
    place, lists = find_places(root), find_lists(root)
    paired = pair_files(place.images, place.masks, mask_suffix=mask_suffix)
    with place.hinting():
        given_classes = read_class_list(place.classes) if place.classes else None
        headers = read_headers(paired.pairs)
        encoding = find_encoding(headers, given_classes, ignored=ignore_value)
    check_orientation(paired.pairs, images.exif)
    images = reader_for([picture for picture, _ in paired.pairs], images)
    given = _given_splits(paired, lists, place, fold=fold) if split == AUTO else None
    looks = split != AUTO or len(paired.pairs) <= MOST_STRATIFIED
    classes_in = partial(_classes_in, encoding=encoding) if looks else None
    assign = partial(split_by_fold, fold=Fold.parse(fold)) if fold else split_images
    chosen, note = given or choose_splits(paired, group, images=images, classes_in=classes_in, assign=assign)
    masks = dict(paired.pairs)

    def samples(part: str) -> FileSamples:
        if not chosen[part]:
            raise ValueError(f"{root} has {counted(len(masks), 'image')} and none for {part}; add more (30 or so)")
        return FileSamples(
            [(picture, masks[picture]) for picture in chosen[part]],
            classes=encoding.classes,
            read=encoding.read,
            decode=encoding.decode,
            name=paired.names.__getitem__,
            images=images,
        )

    files = [file for pair in paired.pairs for file in pair]
    files += [path for path in (place.classes, *lists.values()) if path]
    unread = "" if given or split != AUTO else unread_lists(root)
    return DataSet(
        classes=encoding.classes,
        train=samples("train"),
        validation=samples("validation"),
        test=samples("test"),
        images=images,
        files=files,
        notes=tuple(filter(None, (encoding.note, *paired.notes, note, place.hint, unread))),
        splits_chosen_by="" if given else _rule(group, split=split, fold=fold),
    )


def _rule(group: str, *, split: str, fold: str) -> str:
    """Names how splits are chosen; a run whose splits were chosen otherwise does not resume."""
    rule = f"{FOLD_RULE} {fold}" if fold else SPLIT_RULE
    return " ".join([rule, group, *([] if split == AUTO else [split])])


def read_headers(pairs: Pairs) -> dict[Path, MaskHeader]:
    """Header by mask; raises ValueError if masks have another size than their image, see `check_headers`.

    All files are looked at first: the message names each that is at fault, or the first of a kind and their number.
    """
    headers, faults = {}, []
    for picture, mask in pairs:
        try:
            headers[mask] = read_header(mask)
            check_headers(picture, mask, headers[mask])
        except ValueError as error:
            faults.append(str(error))
    if faults:
        raise ValueError("; ".join(grouped(faults)))
    return headers


def _given_splits(
    paired: Pairing, lists: Mapping[str, Path], place: Places, *, fold: str
) -> tuple[dict[str, list[Path]], str] | None:
    """The images of each split as lists or subfolders say, and a sentence about those in none; None if nothing says.

    Raises ValueError if they say and a fold is asked for.
    """
    by_name = {} if lists else by_folder([picture for picture, _ in paired.pairs], place.images)
    root = place.images.parent
    if fold and (lists or by_name):
        raise ValueError(
            f"fold is {fold}, but {root} has lists or folders of its splits; remove them, drop fold, or give "
            "--split stratified"
        )
    if lists:
        names = {name: path for path, name in paired.names.items()}
        chosen, note = read_split_lists(lists, names, masks=dict(paired.pairs))
        check_no_overlap(lists, chosen)
        return chosen, note
    if by_name:
        return by_name, ""
    if len(paired.pairs) < len(PARTS):
        raise ValueError(
            f"{root} has {counted(len(paired.pairs), 'image')}, too few for three splits; add more (30 or so)"
        )
    return None


def choose_splits(
    paired: Pairing,
    group: str,
    *,
    images: ImageReader,
    classes_in: Callable[[Path], frozenset[int]] | None,
    assign: Callable[[Sequence[Member]], dict[str, str]] = split_images,
) -> tuple[dict[str, list[Path]], str]:
    """The images of each split as `assign` chooses them, and a sentence about groups of images.

    Args:
        paired: the images.
        group: see `group_images`.
        images: reads the images.
        classes_in: the classes that a mask shows; None leaves the classes to chance.
        assign: assigns images to splits by their names.
    """
    groups, note = group_images(paired.names, group, read=partial(_small, images=images))
    members = [
        Member(
            name=paired.names[picture],
            group=groups[picture],
            classes=classes_in(mask) if classes_in else frozenset(),
        )
        for picture, mask in paired.pairs
    ]
    chosen = assign(members)
    return {
        part: [picture for picture, _ in paired.pairs if chosen[paired.names[picture]] == part] for part in PARTS
    }, note


def _small(picture: Path, *, images: ImageReader) -> NDArray[np.uint8]:
    try:
        return images.read(picture, lambda height, width: (min(height, _SMALL), min(width, _SMALL)))[0]
    except ValueError:  # reported with all other faults when the images are checked
        return np.zeros((1, 1, 1), np.uint8)


def _classes_in(mask: Path, *, encoding: MaskEncoding) -> frozenset[int]:
    try:
        values, counts = np.unique(encoding.decode(encoding.read(mask)), return_counts=True)
    except ValueError:  # reported with all other faults when the images are checked
        return frozenset()
    return frozenset(int(value) for value in values[counts >= _LEAST_PIXELS] if value != IGNORE_INDEX)
