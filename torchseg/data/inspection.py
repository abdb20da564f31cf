"""Checks a data set for faults and counts what it contains."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from torchseg.data.sample import DataSet

PARTS = ("train", "validation", "test", "transfer")


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """Result of `inspect_data`.

    Attributes:
        pictures: number of images by split.
        sizes: smallest and largest (height, width) by split, ordered by area; without the empty splits.
        pixels: number of valid pixels of each class, int64 `(K,)`, by split.
        faults: one sentence per fault, naming the file or images; empty if there are none.
    """

    pictures: Mapping[str, int]
    sizes: Mapping[str, tuple[tuple[int, int], tuple[int, int]]]
    pixels: Mapping[str, NDArray[np.int64]]
    faults: tuple[str, ...]


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
        f"the masks to learn from hold {only}; 255 is ignored, and so is black in coloured masks unless classes.txt "
        "names it (background 000000): store a mask of two classes as 0 and 1"
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
    faults: list[str] = []
    seen: dict[bytes, tuple[str, str]] = {}
    sizes: dict[str, tuple[tuple[int, int], tuple[int, int]]] = {}
    pixels = {part: np.zeros(len(data.classes), np.int64) for part in PARTS}
    for part in PARTS:
        samples, found = getattr(data, part), []
        for index in range(len(samples)):
            on_picture()
            try:
                sample = samples[index]
            except ValueError as error:
                faults.append(str(error))
                continue
            found.append((sample.mask.shape[0], sample.mask.shape[1]))
            pixels[part] += np.bincount(sample.mask.ravel(), minlength=256)[: len(data.classes)]
            digest = hashlib.sha256(repr(sample.picture.shape).encode() + sample.picture.tobytes()).digest()
            other_part, other = seen.setdefault(digest, (part, sample.name))
            if other_part != part:
                faults.append(
                    f"image '{sample.name}' of the {part} split is image '{other}' of the {other_part} split; "
                    "remove it from one of them"
                )
        if found:
            sizes[part] = min(found, key=lambda size: size[0] * size[1]), max(found, key=lambda size: size[0] * size[1])
    if "train" in sizes and (lone := lone_class(dict(zip(data.classes, pixels["train"].tolist(), strict=True)))):
        faults.append(lone)
    counts = {part: len(getattr(data, part)) for part in PARTS}
    return Inspection(pictures=counts, sizes=sizes, pixels=pixels, faults=tuple(faults))
