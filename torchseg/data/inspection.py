"""Checks a data set for faults and counts what it contains."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from torchseg.data.images.identical import SeenImages, digest_of
from torchseg.data.sample import DataSet
from torchseg.plural import verb
from torchseg.spec import IGNORE_INDEX

PARTS = ("train", "validation", "test", "transfer")
_LABELLED = PARTS[:3]
_RARE_SHARE = 0.005  # of the valid training pixels
_FEW_IMAGES = 3
_LISTED = 3  # faults of a kind; more are one sentence
_SHOWN_NAMES = 8


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """Result of `inspect_data`.

    Attributes:
        pictures: number of images by split.
        sizes: smallest and largest (height, width) by split, ordered by area; without the empty splits.
        pixels: number of valid pixels of each class, int64 `(K,)`, by split.
        ignored: number of ignored pixels by split.
        faults: one sentence per fault, naming the file or images; more than a few of a kind are one sentence.
        fault_count: number of all faults.
        warnings: sentences about classes that are hard to learn or to score, and about masks that teach nothing.
        rare: classes that every split shows, but training in few pixels or images.
        uneven: classes that a split lacks, though there are enough images that show them for all splits.
    """

    pictures: Mapping[str, int]
    sizes: Mapping[str, tuple[tuple[int, int], tuple[int, int]]]
    pixels: Mapping[str, NDArray[np.int64]]
    ignored: Mapping[str, int]
    faults: tuple[str, ...]
    fault_count: int
    warnings: tuple[str, ...]
    rare: tuple[str, ...] = ()
    uneven: tuple[str, ...] = ()


def lone_class(pixels: Mapping[str, int]) -> str:
    """Error message for training masks in which fewer than two classes have pixels; empty if there are two or more.

    Args:
        pixels: number of pixels by class name.
    """
    found = [name for name, count in pixels.items() if count]
    if len(found) > 1:
        return ""
    only = f"no class but {found[0]}" if found else "no class"
    return (
        f"the masks to learn from hold {only}; 255 is ignored where other values occur, and so is black in coloured "
        "masks unless classes.txt names it (background 000000): store a mask of two classes as 0 and 1"
    )


def inspect_data(data: DataSet, *, on_picture: Callable[[], object] = lambda: None) -> Inspection:
    """Reads every image and mask, and continues after a fault, so that one call finds all of them.

    A fault is an unreadable file, a mask of another size than its image or with a value that is not a class, training
    masks with a single class, or an image that is identical in two splits, because networks must not be scored on
    images that they learned from.

    Args:
        data: an open data set, in which every image has its mask.
        on_picture: called before each image.
    """
    counts = _Counts(data.classes)
    for part in PARTS:
        samples = getattr(data, part)
        for index in range(len(samples)):
            on_picture()
            try:
                sample = samples[index]
            except ValueError as error:
                counts.faults.append(str(error))
                continue
            counts.add(part, sample.name, sample.mask)
            if fault := counts.seen.add(digest_of(sample.picture), part, sample.name):
                counts.faults.append(fault)
    if counts.shapes["train"] and (
        lone := lone_class(dict(zip(data.classes, counts.pixels["train"].tolist(), strict=True)))
    ):
        counts.faults.append(lone)
    return Inspection(
        pictures={part: len(getattr(data, part)) for part in PARTS},
        sizes={
            part: (min(found, key=lambda size: size[0] * size[1]), max(found, key=lambda size: size[0] * size[1]))
            for part, found in counts.shapes.items()
            if found
        },
        pixels=counts.pixels,
        ignored=counts.ignored,
        faults=grouped(counts.faults),
        fault_count=len(counts.faults),
        warnings=counts.warnings(),
        rare=counts.rare(),
        uneven=counts.uneven(),
    )


class _Counts:
    """What `inspect_data` has counted so far, by split."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = classes
        self.faults: list[str] = []
        self.seen = SeenImages()
        self.shapes: dict[str, list[tuple[int, int]]] = {part: [] for part in PARTS}
        self.pixels = {part: np.zeros(len(classes), np.int64) for part in PARTS}
        self.images = {part: np.zeros(len(classes), np.int64) for part in PARTS}  # that show the class
        self.ignored = dict.fromkeys(PARTS, 0)
        self.empty: list[str] = []  # labelled images without a valid pixel

    def add(self, part: str, name: str, mask: NDArray[np.uint8]) -> None:
        """Counts one mask `(H, W)`."""
        self.shapes[part].append((mask.shape[0], mask.shape[1]))
        found = np.bincount(mask.ravel(), minlength=256)
        valid = found[: len(self.classes)]
        self.pixels[part] += valid
        self.images[part] += valid > 0
        self.ignored[part] += int(found[IGNORE_INDEX])
        if part in _LABELLED and not valid.any():
            self.empty.append(name)

    def warnings(self) -> tuple[str, ...]:
        """Sentences about classes that are rare or missing in a split, and about masks without a valid pixel."""
        kinds: dict[str, list[str]] = {}
        for value, name in enumerate(self.classes):
            if kind := self._scarcity(value):
                kinds.setdefault(kind, []).append(name)
        told = [f"{kind}: {listed(names)}" for kind, names in kinds.items()]
        if self.empty:
            total = sum(len(self.shapes[part]) for part in _LABELLED)
            has = verb(len(self.empty), "has", "have")
            told.append(f"{len(self.empty)} of {total} masks {has} no valid pixel: {listed(self.empty)}")
        return tuple(told)

    def rare(self) -> tuple[str, ...]:
        """Classes that every split shows, but training in few pixels or images."""
        return tuple(
            name for value, name in enumerate(self.classes) if not self._lacking(value) and self._is_rare(value)
        )

    def uneven(self) -> tuple[str, ...]:
        """Classes that a split lacks, though as many images show them as there are splits."""
        shown = self.images["train"] + self.images["validation"] + self.images["test"]
        return tuple(
            name for value, name in enumerate(self.classes) if self._lacking(value) and shown[value] >= len(_LABELLED)
        )

    def _scarcity(self, value: int) -> str:
        """What makes a class hard to learn or to score; empty if nothing does."""
        lacking = self._lacking(value)
        if not any(self.images[part][value] for part in _LABELLED):
            return "in no mask"
        if lacking:
            return f"in no mask of the {' and '.join(lacking)} split"
        if self._is_rare(value):
            return f"rare, below {_RARE_SHARE:.1%} of the training pixels or in fewer than {_FEW_IMAGES} images"
        return ""

    def _lacking(self, value: int) -> list[str]:
        """The labelled splits whose masks do not show the class."""
        return [part for part in _LABELLED if self.shapes[part] and not self.images[part][value]]

    def _is_rare(self, value: int) -> bool:
        train = self.pixels["train"]
        return bool(train[value] < _RARE_SHARE * train.sum() or self.images["train"][value] < _FEW_IMAGES)


def listed(names: Sequence[str]) -> str:
    """The names, separated by commas; of many the first ones and how many more there are."""
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(names[:_SHOWN_NAMES]) + more


def grouped(faults: Sequence[str]) -> tuple[str, ...]:
    """The same faults with those that differ only in names and numbers as one sentence with their number."""
    groups: dict[str, list[str]] = {}
    for fault in faults:
        groups.setdefault(_kind(fault), []).append(fault)
    return tuple(
        sentence
        for each in groups.values()
        for sentence in (each if len(each) <= _LISTED else [f"{each[0]} ({len(each) - 1} more like this)"])
    )


def _kind(fault: str) -> str:
    """The sentence without paths, quoted names and numbers."""
    return re.sub(r"'[^']*'|\S*[/\\][^:;]*?\.\w+\b|\d+", "?", fault)
