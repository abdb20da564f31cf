"""Draws masks from the outlines that annotation tools store: polygons, rectangles, ellipses and run lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from torchseg.data.file_samples import FileSamples
from torchseg.data.images.io import SUFFIXES, find_files
from torchseg.data.masks.bitmap import Bitmap
from torchseg.data.named_files import unique_names
from torchseg.data.sample import DataSet
from torchseg.data.splits.official import three_splits
from torchseg.plural import counted, verb
from torchseg.spec import IGNORE_INDEX

BACKGROUND = "background"


@dataclass(frozen=True, kw_only=True)
class Outline:
    """One annotated object.

    Attributes:
        label: name of its class; an empty label is ignored.
        polygons: corners x, y of its parts, in pixels from the upper left corner of the image.
        rings: corners x, y of a polygon and of the holes in it, as pixels. Those on its border belong to the polygon,
            those on the border of a hole do not.
        box: left, top, right, bottom of an ellipse; None for no ellipse.
        bitmap: pixels of the object, with its place in `corner`; None for none.
        corner: left and top of the bitmap; it may stand out of the image, but not lie outside.
        order: objects of a higher order lie above others.
    """

    label: str
    polygons: Sequence[Sequence[tuple[float, float]]] = ()
    rings: Sequence[Sequence[tuple[int, int]]] = ()
    box: tuple[float, float, float, float] | None = None
    bitmap: Bitmap | None = None
    corner: tuple[int, int] = (0, 0)
    order: float = 0


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """The objects of one image: its height and width, and outlines."""

    size: tuple[int, int]
    outlines: Sequence[Outline]


def draw(annotation: Annotation, classes: Sequence[str]) -> NDArray[np.uint8]:
    """Classes `(H, W)`; background where no object is, and the upper of two objects where they overlap.

    Raises:
        ValueError: if an object has a label that is no class, or a bitmap that is damaged or outside the image.
    """
    mask = np.zeros(annotation.size, np.uint8)
    number = {name: value for value, name in enumerate(classes)} | {"": IGNORE_INDEX}
    for outline in sorted(annotation.outlines, key=lambda each: each.order):
        if outline.label not in number:
            raise ValueError(f"it has the label '{outline.label}', and the classes are {', '.join(classes)}")
        for polygon in outline.polygons:
            _fill_polygon(mask, polygon, number[outline.label])
        if outline.box:
            _fill_ellipse(mask, outline.box, number[outline.label])
        if outline.rings:
            _fill_rings(mask, outline.rings, number[outline.label])
        if outline.bitmap is not None:
            _fill_bitmap(mask, outline.bitmap.decode(), outline.corner, number[outline.label])
    return mask


def _fill_bitmap(mask: NDArray[np.uint8], bitmap: NDArray[np.bool_], corner: tuple[int, int], value: int) -> None:
    left, top = corner
    right, bottom = left + bitmap.shape[1], top + bitmap.shape[0]
    window = mask[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
    if not window.size:
        size = f"{mask.shape[0]}x{mask.shape[1]}"
        raise ValueError(
            f"its bitmap begins at {left}, {top}, outside the image of {size}; export the annotations again"
        )
    window[bitmap[max(0, -top) :, max(0, -left) :][: window.shape[0], : window.shape[1]]] = value


def _fill_rings(mask: NDArray[np.uint8], rings: Sequence[Sequence[tuple[int, int]]], value: int) -> None:
    """Sets the pixels inside the first ring and on its border, without those inside the others or on theirs."""
    outer = np.asarray(rings[0])
    left, top = outer.min(axis=0).clip(0)
    right, bottom = outer.max(axis=0).clip(-1) + 1
    window = mask[top:bottom, left:right]
    if window.size:
        covered, *holes = (_covered(np.asarray(ring) - (left, top), window.shape) for ring in rings)
        window[covered & ~np.logical_or.reduce([np.zeros_like(covered), *holes])] = value


def _covered(ring: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The pixels `(H, W)` whose centres a polygon of pixels contains, and those that a line between corners touches."""
    covered = np.zeros(shape, np.uint8)
    _fill_polygon(covered, ring + 0.5, 1)
    for start, end in zip(ring.tolist(), np.roll(ring, -1, axis=0).tolist(), strict=True):
        covered[_line(*min((start, end), (end, start)), shape)] = 1
    return covered.astype(bool)


def _line(left: Sequence[int], right: Sequence[int], shape: tuple[int, ...]) -> tuple[NDArray[np.int64], ...]:
    """Rows and columns of Bresenham's line between two pixels, within `shape`; halves are rounded towards `left`."""
    (x, y), across, along = left, right[0] - left[0], abs(right[1] - left[1])
    steps, down = max(across, along, 1), 1 if right[1] >= left[1] else -1
    if across >= along:
        first, last = -x, shape[1] - x
    else:
        first, last = sorted((-y * down, (shape[0] - 1 - y) * down))
        last += 1
    at = np.arange(max(0, first), min(steps + 1, last), dtype=np.int64)
    xs, ys = (-((steps - 2 * length * at) // (2 * steps)) for length in (across, along))
    xs, ys = x + xs, y + down * ys
    inside = (xs >= 0) & (xs < shape[1]) & (ys >= 0) & (ys < shape[0])
    return ys[inside], xs[inside]


def _fill_polygon(mask: NDArray[np.uint8], polygon: ArrayLike, value: int) -> None:
    """Sets the pixels whose centres are inside: a row's crossings with the outline alternate between out and in."""
    height, width = mask.shape
    corners = np.asarray(polygon, float)
    top = int(np.clip(np.floor(corners[:, 1].min()), 0, height))
    bottom = int(np.clip(np.ceil(corners[:, 1].max()), top, height))
    crossings = np.zeros((bottom - top, width + 1), np.int32)
    for (x, y), (next_x, next_y) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        first, last = (int(np.clip(np.ceil(each - 0.5), top, bottom)) for each in sorted((y, next_y)))
        rows = np.arange(first, last)
        if len(rows):
            at = x + (rows + 0.5 - y) * (next_x - x) / (next_y - y)
            np.add.at(crossings, (rows - top, np.clip(np.ceil(at - 0.5), 0, width).astype(int)), 1)
    mask[top:bottom][crossings.cumsum(axis=1)[:, :width] % 2 == 1] = value


def _fill_ellipse(mask: NDArray[np.uint8], box: tuple[float, float, float, float], value: int) -> None:
    """Sets the pixels whose centres are inside the ellipse in a box left, top, right, bottom."""
    left, top, right, bottom = box
    y, x = np.ogrid[: mask.shape[0], : mask.shape[1]]
    across = (2 * (x + 0.5) - left - right) / max(right - left, 1e-9)
    down = (2 * (y + 0.5) - top - bottom) / max(bottom - top, 1e-9)
    mask[across**2 + down**2 <= 1] = value


class DrawnMasks:
    """Reads the mask of an image by drawing it; its file is the image's own."""

    def __init__(self, annotations: Mapping[Path, Annotation], classes: Sequence[str]) -> None:
        self.annotations, self.classes = annotations, tuple(classes)

    def __call__(self, path: Path) -> NDArray[np.uint8]:
        """Classes `(H, W)` of the image in this file; raises a ValueError that names it for an unknown label."""
        try:
            return draw(self.annotations[path], self.classes)
        except ValueError as error:
            raise ValueError(f"annotation of {path}: {error}") from error

    def size(self, path: Path) -> tuple[int, int]:
        """Height and width of the image in this file as its annotation gives them."""
        return self.annotations[path].size


def add_annotation(
    parts: dict[str, dict[Path, Annotation]], part: str, image: Path, annotation: Annotation, *, source: str
) -> None:
    """Adds the annotation of an image to a split.

    Raises:
        ValueError: if the image has one already, in this split or another: one of the two would be lost.
    """
    if any(image in known for known in parts.values()):
        raise ValueError(
            f"{source} is for the image {image}, and so is another annotation; remove one of them, or put the images "
            "into the folders that the annotations name"
        )
    parts.setdefault(part, {})[image] = annotation


def drawn_data_set(
    parts: Mapping[str, Mapping[Path, Annotation]], labels: Sequence[str], *, files: Sequence[Path]
) -> DataSet:
    """A data set of annotated images; its classes are `background` and the labels.

    Args:
        parts: annotation by image, by split; see `three_splits`.
        labels: names of the classes, without background.
        files: of annotations.

    Raises:
        ValueError: if images are missing, or too few to make three splits, or there are more classes than a mask holds.
    """
    annotations = {path: each for part in parts.values() for path, each in part.items()}
    for path in annotations:
        if not path.is_file():
            raise ValueError(f"the annotations name the image {path}, which is missing; add it or export them again")
    classes = (BACKGROUND, *(label for label in labels if label != BACKGROUND))
    if len(classes) > IGNORE_INDEX:
        raise ValueError(
            f"{files[0]} and the files beside it name {len(classes)} classes with the background, and a mask holds "
            f"at most {IGNORE_INDEX}; leave some out and export again"
        )
    read = DrawnMasks(annotations, classes)
    names = unique_names(list(annotations))
    alone = _others(names)
    has = verb(alone, "has no annotation and is", "have no annotation and are")
    notes = [f"{counted(alone, 'image')} beside those {has} left out"] if alone else []
    splits = three_splits({part: [(path, path) for path in sorted(found)] for part, found in parts.items()})
    train, validation, test = (
        FileSamples(pairs, classes=classes, read=read, name=names.__getitem__) for pairs in splits.values()
    )
    return DataSet(
        classes=classes,
        train=train,
        validation=validation,
        test=test,
        files=[*sorted(annotations), *files],
        notes=tuple(notes),
    )


def _others(annotated: Mapping[Path, str]) -> int:
    """Number of images in the folders of the annotated ones that have no annotation, without hidden files."""
    beside = (path for folder in {path.parent for path in annotated} for path in find_files(folder, "*"))
    return sum(path.suffix.lower() in SUFFIXES and path not in annotated for path in beside)


def left_out_notes(without_area: Mapping[str, int]) -> list[str]:
    """Says how many objects of each kind have no area, and so are no part of a mask."""
    return [
        f"{counted(count, 'object')} of the kind {kind} {verb(count, 'has no area and is', 'have no area and are')} "
        "left out"
        for kind, count in without_area.items()
    ]
