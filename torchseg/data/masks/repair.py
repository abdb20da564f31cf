"""Turns masks with values or colours that are no classes into plain class numbers, as far as that can be known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from torchseg.data.masks.class_list import ClassList
from torchseg.data.masks.encoding import have_own_palettes, show_black_and_white
from torchseg.data.masks.io import read_colours, read_mask, read_shades
from torchseg.data.masks.survey import MaskSurvey, Pixels, Read
from torchseg.data.masks.values import packed, too_near
from torchseg.data.masks.white import check_one_bit
from torchseg.spec import IGNORE_INDEX

_MOST_CLASSES = 64
_REAL_SHARE, _REAL_INTERIOR = 0.002, 0.3  # of all pixels; of the value's own pixels
_MOST_MIXED = 0.5  # share of a mask that smoothing may have mixed
_APART = 16  # nearer values are one value, changed by compression
_HOLE = -1
_BINARY = {0, IGNORE_INDEX}


@dataclass(frozen=True, kw_only=True)
class MaskRepair:
    """What the values of a folder's masks stand for.

    Attributes:
        names: of the classes.
        read: reads a mask as stored.
        meaning: class, or the ignored value, by value or packed colour.
        note: a sentence about what was changed in all masks; may be empty.
        fills: whether pixels of other values were mixed by smoothing, so that they take a class near them.
    """

    names: tuple[str, ...]
    read: Read
    meaning: Mapping[int, int]
    note: str = ""
    fills: bool = False

    def mend(self, path: Path) -> tuple[NDArray[np.uint8], int]:
        """Class numbers `(H, W)` of a mask, and how many pixels smoothing had mixed.

        Mixed pixels take the nearer of two values, or of more values that of the nearest pixel.

        Raises:
            ValueError: naming a file that cannot be read, or has a value that stands for no class.
        """
        stored = self.read(path)
        values = packed(stored)
        found, position = np.unique(values, return_inverse=True)
        table = np.array([self.meaning.get(value, _HOLE) for value in found.tolist()], np.int16)
        classes = table[position.reshape(values.shape)]
        holes = int((classes == _HOLE).sum())
        if not holes:
            return classes.astype(np.uint8), 0
        if not self.fills or holes > _MOST_MIXED * classes.size:
            unknown = found[table == _HOLE][0]
            text = f"colour {unknown:06X}" if stored.ndim == 3 else f"value {unknown}"
            raise ValueError(f"mask {path} holds the {text}, which is no class")
        real = [value for value in self.meaning if value in (0, IGNORE_INDEX)]
        if stored.ndim == 2 and len(self.names) == 2 and len(real) == 2 and len(self.meaning) == 2:
            low, high = (self.meaning[value] for value in (0, IGNORE_INDEX))
            return np.where(values > IGNORE_INDEX // 2, high, low).astype(np.uint8), holes
        return _filled(classes).astype(np.uint8), holes


def plan_repair(masks: Sequence[Path], classes: ClassList | None, *, ignored: int | None = None) -> MaskRepair:
    """Finds out what the values of these masks stand for; files that cannot be read are left out.

    Args:
        masks: files.
        classes: from `classes.txt`; None without one: then what occurs are the classes, numbered from 0.
        ignored: a further value to ignore.

    Raises:
        ValueError: if there are too many values to be classes.
    """
    survey = MaskSurvey()
    for path in masks:
        survey.add(path)
    if not survey.headers:
        raise ValueError("no mask can be read; give a folder of masks")
    if not _are_coloured(survey, classes):
        return _by_value(survey, classes, ignored)
    pixels = survey.in_colours()
    if classes and classes.colours:
        meaning = {0: IGNORE_INDEX} | dict(classes.colours)
        return MaskRepair(names=classes.names, read=read_colours, meaning=meaning, fills=pixels.smoothed)
    real = sorted(_real_values(pixels, smoothed=pixels.smoothed))
    names = tuple(f"colour_{value:06X}" for value in real)
    meaning = {value: number for number, value in enumerate(real)}
    note = f"colours are the classes {', '.join(names)}"
    return MaskRepair(names=names, read=read_colours, meaning=meaning, note=note, fills=pixels.smoothed)


def _by_value(survey: MaskSurvey, classes: ClassList | None, ignored: int | None) -> MaskRepair:
    smoothed = survey.values.smoothed or bool(survey.too_near)
    found, of_one_bit = survey.deep, survey.one_bit
    real = _real_values(survey.values, smoothed=smoothed)
    deep = set(real) - {1} if smoothed and of_one_bit else found
    may_be_binary = ignored is None and (classes is None or len(classes.names) == 2)
    in_palettes = may_be_binary and show_black_and_white(survey.headers)
    is_binary = set(real) == _BINARY or deep == _BINARY or (deep == {IGNORE_INDEX} and of_one_bit)
    if may_be_binary and (is_binary or in_palettes):
        names = classes.names if classes else ("class_0", "class_1")
        read = read_shades if of_one_bit or in_palettes else read_mask  # white has the shade 255 in any file
        binary = {0: 0, IGNORE_INDEX: 1}
        return MaskRepair(names=names, read=read, meaning=binary, note="255 became 1", fills=smoothed)
    check_one_bit(survey.headers, read_mask)
    rest = {IGNORE_INDEX: IGNORE_INDEX} | ({} if ignored is None else {ignored: IGNORE_INDEX})
    known = sorted(set(real) - set(rest))
    if known == [0, 1] and ignored is None:
        survey.whites.check()
    _check_apart(survey, list(classes.values) if classes else known)
    if classes:
        return MaskRepair(names=classes.names, read=read_mask, meaning=rest | dict(classes.values), fills=smoothed)
    changed = ", ".join(f"{value} to {number}" for number, value in enumerate(known) if value != number)
    return MaskRepair(
        names=tuple(f"class_{value}" for value in known),
        read=read_mask,
        meaning={value: number for number, value in enumerate(known)} | rest,
        note=f"values were numbered from 0: {changed}" if changed else "",
        fills=smoothed,
    )


def _check_apart(survey: MaskSurvey, values: Sequence[int]) -> None:
    """Raises a ValueError if masks were compressed with losses and the values of classes are too near to survive it."""
    for path, mixed in survey.too_near.items():
        if len(values) < 2 or too_near(values):
            raise ValueError(f"mask {path}: {mixed}")


def _are_coloured(survey: MaskSurvey, classes: ClassList | None) -> bool:
    if classes and classes.colours:
        shades = all(colour >> 16 == colour & 0xFF == colour >> 8 & 0xFF for colour in classes.colours)
        return shades or not all(header.is_grey for header in survey.headers.values())
    if survey.colours.counts:
        return True
    try:
        return have_own_palettes(survey.headers)
    except ValueError:
        return True


def _real_values(pixels: Pixels, *, smoothed: bool) -> list[int]:
    """Values or packed colours that occur; where smoothing made some, those that fill areas."""
    counts = pixels.counts
    real = list(counts)
    if smoothed:
        total = sum(number for number, _ in counts.values())
        order = sorted(counts, key=lambda value: -counts[value][0])
        real = []
        for value in order:
            number, interior = counts[value]
            is_area = number >= _REAL_SHARE * total and interior >= _REAL_INTERIOR * number
            if is_area and all(_distance(value, other) >= _APART for other in real):
                real.append(value)
    if len(real) > _MOST_CLASSES:
        raise ValueError(f"the masks hold {len(real)} values or colours; classes.txt must say which are classes")
    return real


def _distance(value: int, other: int) -> int:
    """Largest difference of a channel; of values, their difference."""
    return max(abs((value >> shift & 0xFF) - (other >> shift & 0xFF)) for shift in (0, 8, 16))


def _filled(classes: NDArray[np.int16]) -> NDArray[np.int16]:
    """Fills holes with the class of the nearest pixel, one ring of pixels after another; all holes become ignored."""
    filled = classes.copy()
    if (filled == _HOLE).all():
        return np.full_like(filled, IGNORE_INDEX)
    while (filled == _HOLE).any():
        before = np.pad(filled, 1, constant_values=_HOLE)
        for near in (before[:-2, 1:-1], before[2:, 1:-1], before[1:-1, :-2], before[1:-1, 2:]):
            filled = np.where(filled == _HOLE, near, filled)
    return filled
