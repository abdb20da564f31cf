"""Reads which images belong to which split, from lists of names or from the names of subfolders."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from torchseg.data.images.io import SUFFIXES, is_hidden
from torchseg.data.pairing import normal, refuse
from torchseg.data.text_file import read_lines
from torchseg.plural import counted, verb
from torchseg.spec import nearest

PARTS = ("train", "validation", "test")
_SPELLINGS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev", "eval", "evaluation"),
    "test": ("test", "testing"),
}

_FILE = re.compile(rf"\S.*?(?:{'|'.join(map(re.escape, SUFFIXES))})(?=[\s,;\"']|$)[\"']?", re.IGNORECASE)
_LIST_ENDINGS = (".txt", ".csv", ".tsv", ".lst", ".list", ".json")


def find_lists(root: Path) -> dict[str, Path]:
    """The list of each split that has one: `train.txt`, `validation.txt` (or `val.txt`, `valid.txt`, ...), `test.txt`.

    Raises:
        ValueError: if a split has two lists, or some splits have one and others have none.
    """
    lists = {}
    texts = sorted(path for path in _files(root) if path.suffix.lower() == ".txt")
    for part, spellings in _SPELLINGS.items():
        found = [path for path in texts if path.stem.lower() in spellings]
        if len(found) > 1:
            raise ValueError(f"{found[0]} and {found[1]} both list the {part} split; remove one of them")
        if found:
            lists[part] = found[0]
    if lists and len(lists) < len(PARTS):
        missing = next(part for part in PARTS if part not in lists)
        raise ValueError(f"there is no {root / f'{missing}.txt'}; list the images of all three splits, or of none")
    return lists


def unread_lists(root: Path) -> str:
    """A sentence about files that look like lists of splits and are none, like `ImageSets/train.txt`; may be empty."""
    inner = [path for path in sorted(root.iterdir()) if path.is_dir() and not is_hidden(path.name)]
    for folder in (root, *(path for path in inner if path.name.lower() not in ("images", "masks"))):
        for path in sorted(folder.iterdir()):
            is_named = path.suffix.lower() in _LIST_ENDINGS and path.stem.lower() in _SPELLINGS["train"]
            if is_named and path.is_file():
                return (
                    f"{path.relative_to(root)} is not read; lists of splits are train.txt, validation.txt and test.txt "
                    "beside images/"
                )
    return ""


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and not is_hidden(path.name))


def read_split_lists(
    lists: Mapping[str, Path],
    names: Mapping[str, Path],
    *,
    masks: Mapping[Path, Path] = MappingProxyType({}),
    on_fault: Callable[[str], None] = refuse,
    where: str = "images/",
) -> tuple[dict[str, list[Path]], str]:
    """The images of each split, and a sentence about images that no list names, which may be empty.

    Args:
        lists: file by split, with one name per line; an ending, folders in front, quotes and an empty line do not
            matter, nor does the mask in a second column if it is that of the image. A line that begins with `#` is a
            comment unless it is the name of an image.
        names: image file by name.
        masks: mask by image file.
        on_fault: takes the message about a name without image, which is then left out.
        where: folder of the images, for messages.

    Raises:
        ValueError: if a list names an image that does not exist, several images in a line, or another mask.
    """
    known = _Known(names, masks)
    parts = {part: _listed(path, known, on_fault, where) for part, path in lists.items()}
    left_out = len(names) - len(set().union(*parts.values()))
    be = verb(left_out, "is", "are")
    note = f"{left_out} of {len(names)} images {be} in no list and {be} left out" if left_out else ""
    return parts, note


def check_no_overlap(lists: Mapping[str, Path], parts: Mapping[str, Sequence[Path]]) -> None:
    """Raises ValueError if two of the lists name the same image; `parts` are the images that they name."""
    for (part, chosen), (other, more) in combinations(parts.items(), 2):
        if common := sorted(set(chosen) & set(more)):
            raise ValueError(
                f"{lists[part].name} and {lists[other].name} in {lists[part].parent} both name "
                f"{counted(len(common), 'image')}, first '{common[0].stem}'; an image must be in one split: "
                "correct a list"
            )


class _Known:
    """What the lines of a list may name: images by their name and, where that is unique, file name or stem, and masks.

    Names are compared in one Unicode form, and in any case of letters where that leaves one.
    """

    def __init__(self, names: Mapping[str, Path], masks: Mapping[Path, Path]) -> None:
        self.names: dict[str, Path] = {}
        times = Counter(normal(form) for path in names.values() for form in {path.name, path.stem})
        for name, path in names.items():
            alone = [form for form in (path.name, path.stem) if times[normal(form)] == 1]
            self.names |= {normal(form): path for form in (name, *alone)}
        alike: dict[str, set[Path]] = defaultdict(set)
        for name, path in self.names.items():
            alike[name.casefold()].add(path)
        self._alike = {name: found.pop() for name, found in alike.items() if len(found) == 1}
        self.masks, self._by_stem = masks, {normal(mask.stem): mask for mask in masks.values()}

    def image(self, forms: Sequence[str]) -> Path | None:
        """The image that has the first of these names that is one."""
        exact = next((self.names[form] for form in forms if form in self.names), None)
        return exact or next((self._alike[form.casefold()] for form in forms if form.casefold() in self._alike), None)

    def mask(self, forms: Sequence[str]) -> Path | None:
        """The mask that has the first of these stems that is one."""
        return next((self._by_stem[form] for form in forms if form in self._by_stem), None)


def _listed(listing: Path, known: _Known, on_fault: Callable[[str], None], where: str) -> list[Path]:
    found: dict[Path, None] = {}
    for line in read_lines(listing):
        text = normal(line.strip())
        path = known.image(_forms(text)) if text else None
        if not text or (path is None and text.startswith("#")):
            continue
        if path is None:
            hint = nearest(text, known.names)
            on_fault(f"{listing} names '{text}', but {where} has no such image{hint}; correct the list")
        else:
            _check_columns(listing, text, path, known)
            found[path] = None
    return list(found)


def _check_columns(listing: Path, text: str, image: Path, known: _Known) -> None:
    """Raises a ValueError if the line names another image, too, or another mask than that of the image."""
    columns = _columns(text)
    if columns[0] == text and known.image(_whole(text)):
        return
    for column in columns:
        mask, named = known.mask(_whole(column)), known.image(_whole(column)) or image
        if named != image if mask is None else mask != known.masks[image]:
            raise ValueError(
                f"{listing} has the line '{text}', which names the image {image.name} and something of another image; "
                "write one image per line, and give masks the names of their images"
            )


def _forms(text: str) -> list[str]:
    """What a line may mean: a name, one with an ending, a path, or a path followed by that of the mask."""
    return [form for column in _columns(text) for form in _whole(column)]


def _columns(text: str) -> list[str]:
    """A line, and its parts between tabs, commas, semicolons and spaces; its files alone if it names several."""
    files = [found.strip(" ,;\t") for found in _FILE.findall(text)]
    if len(files) > 1:
        return files
    split = [[part for part in text.split(mark) if part.strip()] for mark in ("\t", ",", ";", None)]
    return list(dict.fromkeys((text, *(part for parts in split if len(parts) > 1 for part in parts))))


def _whole(text: str) -> list[str]:
    """A name as it is, without folders, without its ending, and with the last folder in front."""
    part = text.strip(" \t,;").strip("\"'").strip()
    path = PurePosixPath(part.replace("\\", "/"))
    forms = [part, path.name, "_".join((*path.parts[-2:-1], path.name))]
    if path.suffix.lower() in SUFFIXES:
        forms += [path.stem, "_".join((*path.parts[-2:-1], path.stem))]
    return forms


def split_of_folder(place: Path) -> str | None:
    """The split that the first subfolder of an image is called after; None if it is not called after one."""
    first = place.parts[0].lower() if place.parts else ""
    return next((part for part, spellings in _SPELLINGS.items() if first in spellings), None)


def by_folder(pictures: Sequence[Path], images: Path) -> dict[str, list[Path]] | None:
    """The images of each split where subfolders are called train, val and test; None where they are not.

    Raises:
        ValueError: if only some of the subfolders are called after a split, or a split has no folder.
    """
    parts: dict[str, list[Path]] = {part: [] for part in PARTS}
    rest: list[Path] = []
    for path in pictures:
        part = split_of_folder(path.relative_to(images).parent)
        (parts[part] if part else rest).append(path)
    if sum(bool(chosen) for chosen in parts.values()) < 2:
        return None  # one folder of all images is no split
    missing = [part for part, chosen in parts.items() if not chosen]
    if missing or rest:
        problem = f"no folder for {missing[0]}" if missing else f"{rest[0]} in none of them"
        raise ValueError(
            f"{images} has folders for splits, but {problem}; give train/, val/ and test/ all images, or put all "
            "images into one folder"
        )
    return parts
