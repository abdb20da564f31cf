"""Finds out how the masks of a folder stand for classes: by value, by black and white, by palette or by colour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from torchseg.data.masks.class_list import ClassList
from torchseg.data.masks.colour_table import ColourTable
from torchseg.data.masks.io import MaskHeader, read_by_kind, read_colours, read_mask, read_shades
from torchseg.data.masks.value_table import ValueTable
from torchseg.data.masks.values import colours_in, listed, smoothing, too_near
from torchseg.data.masks.white import TwoWhites, check_one_bit
from torchseg.spec import IGNORE_INDEX

_IGNORED = {IGNORE_INDEX: IGNORE_INDEX}
_BINARY = {0, IGNORE_INDEX}
_SHOWN_FILES, _SHOWN_COLOURS = 20, 12
_MANY_VALUES = 20
_ENOUGH = 4  # masks with a class, among which one of 0 and 255 would show
Read = Callable[[Path], NDArray[np.uint8]]
Decode = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


@dataclass(frozen=True, kw_only=True)
class MaskEncoding:
    """How masks are read.

    Attributes:
        classes: names, in their order.
        read: reads a mask as stored.
        decode: turns what `read` gave into classes, uint8 `(H, W)`.
        note: a sentence for the user about what the masks were taken for; may be empty.
    """

    classes: tuple[str, ...]
    read: Read
    decode: Decode
    note: str = ""


def find_encoding(
    masks: Mapping[Path, MaskHeader], classes: ClassList | None, *, ignored: int | None = None
) -> MaskEncoding:
    """Finds the encoding from the list of classes, the headers and, only as far as they leave it open, the pixels.

    Args:
        masks: header by mask file.
        classes: from `classes.txt`; None where there is no such file: then the values that occur are the classes.
        ignored: a further value to ignore in masks without colours.

    Raises:
        ValueError: if masks contradict each other, are coloured without a list of colours, or hold values with gaps.
    """
    if classes and classes.colours:
        return _by_colour(masks, classes, ignored)
    read = read_shades if have_own_palettes(masks) or show_black_and_white(masks) else read_mask
    _check_lossy(masks, read)
    check_one_bit(masks, read)
    if classes is None:
        return _by_occurrence(masks, read, ignored)
    values = dict(classes.values)
    if len(classes.names) == 2 and values == {0: 0, 1: 1} and ignored is None and _are_binary(masks, read):
        return _binary(classes.names, read)
    table = ValueTable(_IGNORED | values, ignored=ignored, names=classes.names, source=classes.source)
    return MaskEncoding(classes=classes.names, read=read, decode=table.decode)


def _check_lossy(masks: Mapping[Path, MaskHeader], read: Read) -> None:
    """Raises a ValueError that names a JPEG whose values are mixed, though each of them may be that of a class."""
    looked_at = 0
    for path in [path for path, header in masks.items() if header.is_lossy]:
        stored = read(path)
        fault = smoothing(stored, path) or (too_near(np.unique(stored).tolist()) if stored.ndim == 2 else "")
        if fault:
            raise ValueError(f"mask {path}: {fault}")
        looked_at += bool(stored.min() < stored.max())
        if looked_at == _ENOUGH:
            break


def _binary(names: tuple[str, ...], read: Read) -> MaskEncoding:
    """Reads 255 as 1, and so the 1 of files of one bit."""
    table = ValueTable({0: 0, 1: 1, IGNORE_INDEX: 1}, names=names, source="the masks")
    note = f"the masks hold 0 and {IGNORE_INDEX} alone: {IGNORE_INDEX} is read as 1 ({names[1]})"
    return MaskEncoding(classes=names, read=read, decode=table.decode, note=note)


def _are_binary(masks: Mapping[Path, MaskHeader], read: Read) -> bool:
    """Whether 0 and 255 are the only values; reads until a few masks show another one, which mostly are the first.

    Raises:
        ValueError: if 255 seems to mean 1, see `TwoWhites`.
    """
    whites, others = TwoWhites(), 0
    for path, header in masks.items():
        if header.mode == "1":
            continue
        stored = read(path)
        if stored.ndim != 2:
            return False
        whites.add(path, np.bincount(stored.ravel(), minlength=256))
        others += bool(((stored > 0) & (stored < IGNORE_INDEX)).any())
        if others == _ENOUGH:
            break
    whites.check()
    return not others and whites.white is not None


def _by_occurrence(masks: Mapping[Path, MaskHeader], read: Read, ignored: int | None) -> MaskEncoding:
    """The values that occur are the classes; raises ValueError if values between them do not occur."""
    found, of_one_bit, richest, whites = values_in(masks, read)
    if ignored is None and (found == _BINARY or (found == {IGNORE_INDEX} and of_one_bit)):
        return _binary(("class_0", "class_1"), read)
    found |= of_one_bit
    known = sorted(found - {IGNORE_INDEX, ignored})
    if known == [0, 1] and ignored is None:
        whites.check()
    _check_gaps(known, found, richest)
    first = known[0] if ignored is not None and known else 0
    last = max([*known, first + 1])
    values = {value: value - first for value in range(first, last + 1)}
    notes = [f"value {listed(range(known[0]))} never occurs in the masks"] if known and known[0] > first else []
    if IGNORE_INDEX in found and ignored is None:
        notes.append(f"{IGNORE_INDEX} is ignored; a line '{IGNORE_INDEX}: NAME' in classes.txt would make it a class")
    names = tuple(f"class_{value}" for value in values)
    table = ValueTable(_IGNORED | values, ignored=ignored, names=names, source="the masks")
    return MaskEncoding(classes=names, read=read, decode=table.decode, note="; ".join(notes))


def values_in(masks: Mapping[Path, MaskHeader], read: Read) -> tuple[set[int], set[int], Path, TwoWhites]:
    """Values of the masks, those of masks of one bit apart, a mask with most values, and what 255 means in them.

    Raises:
        ValueError: for a coloured mask.
    """
    counts = {is_small: np.zeros(256, np.int64) for is_small in (False, True)}
    richest, whites = (0, next(iter(masks))), TwoWhites()
    for path, header in masks.items():
        stored = read(path)
        if stored.ndim != 2:
            raise ValueError(_coloured(list(masks), path, stored))
        here = np.bincount(stored.ravel(), minlength=256)
        counts[header.mode == "1"] += here
        if header.mode != "1":
            whites.add(path, here)
        richest = max(richest, (int(np.count_nonzero(here)), path))
    found, of_one_bit = (set(np.flatnonzero(each).tolist()) for each in counts.values())
    return found, of_one_bit, richest[1], whites


def _check_gaps(known: Sequence[int], found: set[int], richest: Path) -> None:
    gaps = bool(known) and len(known) < known[-1] - known[0] + 1
    if not gaps and len(known) <= _MANY_VALUES:
        return
    if smoothed := smoothing(read_mask(richest), richest):
        raise ValueError(f"mask {richest}: {smoothed}")
    if gaps:
        raise ValueError(
            f"the masks in {richest.parent} hold the values {listed(sorted(found))}, and the values between them never "
            "occur; "
            f"add a classes.txt with one line for each, such as '{known[-1]}: car' ({IGNORE_INDEX} is ignored unless a "
            "line names it), or let prepare --fix OUT number them from 0 in a copy"
        )


def _coloured(masks: Sequence[Path], path: Path, stored: NDArray[np.uint8]) -> str:
    """Message for coloured masks without a list of classes, with the colours that it must name."""
    if smoothed := smoothing(stored, path):
        return f"mask {path}: {smoothed}"
    found: Counter[int] = Counter()
    for mask in [path, *masks[:_SHOWN_FILES]]:
        found.update(colours_in(read_colours(mask)))
    colours = ", ".join(f"{colour:06X}" for colour, _ in found.most_common(_SHOWN_COLOURS))
    more = f" and {len(found) - _SHOWN_COLOURS} more" if len(found) > _SHOWN_COLOURS else ""
    return (
        f"mask {path} is coloured; add a classes.txt beside masks/ with lines like 'road 804080' that name the "
        f"colours, which are {colours}{more} in the first masks"
    )


def have_own_palettes(masks: Mapping[Path, MaskHeader]) -> bool:
    """Whether one value has different shades of grey in two indexed masks, so that the shade must be read.

    Raises:
        ValueError: if it has different colours: then values mean nothing, and only a list of colours helps.
    """
    palettes = {header.palette.tobytes() for header in masks.values() if header.palette is not None}
    longest = max(palettes, key=len, default=b"")
    if all(longest.startswith(palette) for palette in palettes):
        return False
    all_grey = all(header.is_grey for header in masks.values())
    known: dict[int, tuple[tuple[int, ...], Path]] = {}
    for path, header in masks.items():
        if header.palette is None:
            continue
        for value in np.unique(read_mask(path)).tolist():
            colour = tuple(header.palette[value].tolist()) if value < len(header.palette) else (0, 0, 0)
            other, first = known.setdefault(value, (colour, path))
            if other != colour and all_grey:
                return True
            if other != colour:
                raise ValueError(
                    f"masks have palettes of their own: value {value} is the colour {_hex(other)} in {first} and "
                    f"{_hex(colour)} in {path}; name the colour of each class in classes.txt, one line per class like "
                    "'road 804080', and masks are read by colour"
                )
    return False


def show_black_and_white(masks: Mapping[Path, MaskHeader]) -> bool:
    """Whether indexed masks show no colours but black and white, and white has another value than 1 or 255.

    Masks of 0 and 255 become such files when they are converted to a palette for the web, where white is 225.
    """
    palettes = {path: header.palette for path, header in masks.items() if header.palette is not None}
    whites = {at for palette in palettes.values() for at in np.flatnonzero((palette == 255).all(axis=1)).tolist()}
    if whites <= {1, IGNORE_INDEX}:
        return False
    for path, palette in palettes.items():
        used = np.unique(read_mask(path))
        if used[-1] >= len(palette) or not np.isin(palette[used].sum(axis=1), (0, 3 * 255)).all():
            return False
    return True


def _hex(colour: Sequence[int]) -> str:
    return "".join(f"{channel:02X}" for channel in colour)


def _by_colour(masks: Mapping[Path, MaskHeader], classes: ClassList, ignored: int | None) -> MaskEncoding:
    """Colours from the list; grey masks hold shades of grey from the list if that fits all of them, else values."""
    table = ColourTable({0: IGNORE_INDEX} | dict(classes.colours), source=classes.source)
    values = ValueTable(_IGNORED | dict(classes.values), ignored=ignored, names=classes.names, source=classes.source)
    by_colour = MaskEncoding(classes=classes.names, read=read_colours, decode=table.decode)
    grey = [path for path, header in masks.items() if header.is_grey]
    shades = {colour & 0xFF for colour in classes.colours if colour == (colour & 0xFF) * 0x010101}
    fits_shades = fits_values = bool(grey)
    for path in grey:
        fits_shades = fits_shades and set(np.unique(read_colours(path)).tolist()) <= shades
        fits_values = fits_values and values.fits(read_mask(path))
        if fits_shades != fits_values:
            break
    if fits_shades or not fits_values:
        return by_colour
    decode = _ByKind(table, values)
    return MaskEncoding(classes=classes.names, read=read_by_kind, decode=decode)


class _ByKind:
    """Decodes colours `(H, W, 3)` by one table and values `(H, W)` by another."""

    def __init__(self, colours: ColourTable, values: ValueTable) -> None:
        self.colours, self.values = colours, values

    def __call__(self, stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return (self.values if stored.ndim == 2 else self.colours).decode(stored)
