"""Finds the image files and the mask files of a folder, and which mask belongs to which image."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torchseg.data.images.io import SUFFIXES, is_hidden
from torchseg.plural import counted, verb
from torchseg.spec import nearest

MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".jpg", ".jpeg")  # the first one is preferred
_OTHER_FILES = {".txt", ".json", ".xml", ".csv", ".md", ".yaml", ".yml", ".html"}
_IMAGE_WORDS = (
    *("leftimg8bit", "image", "images", "img", "picture", "photo", "sat", "rgb", "frame"),
    *("color", "colour", "original"),
    *("training", "test"),  # of DRIVE
)
_FIRST_CHANNEL = "0000"  # of nnU-Net, if all images end in it

_MASK_WORDS = (
    *("gtfine_labeltrainids", "gtfine_labelids", "gtcoarse_labelids", "labeltrainids", "labelids", "mask", "masks"),
    *("label", "labels", "gt", "seg", "segmentation", "segmentation_mask", "annotation", "ground_truth", "groundtruth"),
    *("gtfine_color", "l", "manual1", "manual"),
)


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """Result of `pair_files`.

    Attributes:
        pairs: image and mask, in the order of the images' paths.
        names: name of each image, unique, by its path.
        notes: one sentence each about files that were passed over.
    """

    pairs: Sequence[tuple[Path, Path]]
    names: Mapping[Path, str]
    notes: tuple[str, ...] = ()


def refuse(fault: str) -> None:
    """Raises a ValueError with this text: what functions do with a fault unless they are given something else."""
    raise ValueError(fault)


def pair_files(
    images: Path, masks: Path, *, mask_suffix: str = "", on_fault: Callable[[str], None] = refuse
) -> Pairing:
    """Pairs the images below one folder with the masks below another.

    A mask has the image's name, with any image ending in any case, or the name with `mask_suffix` behind it. Without
    that suffix the usual patterns are tried (`x_mask`, `x_leftImg8bit` and `x_gtFine_labelIds`, `image_x` and
    `label_x`, ...), then any suffix that all masks share, then what differs in the names (`input_7` and `target_007`),
    if that gives every image and every mask its other one. Names are compared in one Unicode form. Hidden files are
    skipped. Images in subfolders have their masks in subfolders of the same names.

    Args:
        images: folder.
        masks: folder.
        mask_suffix: what the name of a mask has behind that of its image.
        on_fault: takes the message about images without masks, which are then left out.

    Raises:
        ValueError: naming a folder that is missing or empty, an image without a mask, an image with several, or two
            images of one name.
    """
    pictures, passed_over = _files(images, SUFFIXES)
    if not pictures:
        found = f" (it has {_counted(passed_over)})" if passed_over else ""
        raise ValueError(f"{images} holds no images{found}; expected files ending in {', '.join(SUFFIXES)}")
    candidates, others = _files(masks, MASK_SUFFIXES)
    names = _names(pictures, images)
    chosen = _matched(pictures, candidates, images, masks, mask_suffix)
    notes = []
    if len(chosen) < len(pictures) and not mask_suffix and (rest := _by_rest(pictures, candidates)):
        chosen, (first, mask) = rest, next(iter(rest.items()))
        notes.append(f"masks are matched by the parts of names that differ: {mask.name} belongs to {first.name}")
    if without := [picture for picture in pictures if picture not in chosen]:
        on_fault(_missing(without, candidates, images, masks, mask_suffix))
    left_over = len(set(candidates) - set(chosen.values()))
    notes += [f"{images} has {_counted(passed_over)}, passed over"] if passed_over else []
    notes += (
        [f"{left_over} of {len(candidates)} masks in {masks} {verb(left_over, 'belongs', 'belong')} to no image"]
        if left_over
        else []
    )
    notes += [f"{masks} has {_counted(others)}, passed over"] if others else []
    return Pairing(
        pairs=[(picture, chosen[picture]) for picture in pictures if picture in chosen], names=names, notes=tuple(notes)
    )


def _files(folder: Path, suffixes: Iterable[str]) -> tuple[list[Path], Counter[str]]:
    """Files in the folder with these endings, sorted, and what else is there with its number.

    Subfolders are read if the folder itself has no such file.
    """
    found: dict[bool, list[Path]] = {True: [], False: []}  # by whether directly in the folder
    others, known = Counter[str](), tuple(suffixes)
    seen: set[str] = set()  # of a folder that links lead to twice
    for place, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not is_hidden(name)]
        if os.path.realpath(place) in seen:
            folders[:] = []
            continue
        seen.add(os.path.realpath(place))
        for name in files:
            if is_hidden(name):
                continue
            ending = Path(name).suffix.lower()
            if ending in known:
                found[Path(place) == folder].append(Path(place, name))
            elif ending not in _OTHER_FILES:
                others[ending or "no ending"] += 1
    if found[True] and found[False]:
        others["in subfolders"] += len(found[False])
    return sorted(found[True] or found[False]), others


def _counted(endings: Counter[str]) -> str:
    total = sum(endings.values())
    return f"{counted(total, 'other file')} ({', '.join(sorted(endings))})"


def _names(pictures: Sequence[Path], folder: Path) -> dict[Path, str]:
    """Name of each image: without suffix, and with the subfolders in front where there are any."""
    names = {path: "_".join((*path.relative_to(folder).parts[:-1], path.stem)) for path in pictures}
    first: dict[str, Path] = {}
    for path, name in names.items():
        other = first.setdefault(normal(name), path)
        if other != path:
            raise ValueError(
                f"images {other} and {path} have one name and would share one mask; rename or remove one of them"
            )
    return names


def normal(name: str) -> str:
    """The name in one Unicode form: some systems store `ä` as one character and some as two."""
    return unicodedata.normalize("NFC", name)


def _matched(
    pictures: Sequence[Path], candidates: Sequence[Path], images: Path, masks: Path, mask_suffix: str
) -> dict[Path, Path]:
    """The mask of each picture, by the first rule that finds one for all of them, else by the rule that finds most."""
    places = {path: (path.relative_to(images).parent, normal(path.stem)) for path in pictures}
    stored = {path: (path.relative_to(masks).parent, normal(path.stem)) for path in candidates}
    rules = [("", mask_suffix)] if mask_suffix else [("", ""), *_shared_suffixes(places, stored)]
    best: dict[Path, Path] = {}
    for removed, added in rules:
        found = _by_key(
            {path: (place, stem.removesuffix(removed) + added) for path, (place, stem) in places.items()}, stored
        )
        if len(found) == len(pictures):
            if not mask_suffix:
                _check_single(
                    found, {path: (at, stem.removesuffix(removed)) for path, (at, stem) in places.items()}, stored
                )
            return found
        best = max(best, found, key=len)
    if not mask_suffix:
        is_first_channel = all(stem.endswith(f"_{_FIRST_CHANNEL}") for _, stem in places.values())
        words = (*_IMAGE_WORDS, _FIRST_CHANNEL) if is_first_channel else _IMAGE_WORDS
        for shorten in (_stripped, _without_inner):
            stripped = _by_key(
                {path: (place, shorten(stem, words)) for path, (place, stem) in places.items()},
                {path: (place, shorten(stem, _MASK_WORDS)) for path, (place, stem) in stored.items()},
            )
            best = max(best, stripped, key=len)
    return best


def _check_single(
    found: Mapping[Path, Path], bases: Mapping[Path, tuple[Path, str]], masks: Mapping[Path, tuple[Path, str]]
) -> None:
    """Raises a ValueError if an image has further masks: one per class, as `a_car` and `a_bus`, or one per object."""
    images = {base: path for path, base in bases.items()}
    for mask in sorted(set(masks) - set(found.values())):
        place, stem = masks[mask]
        cuts = [stem, *(stem[: cut.start()] for cut in reversed(list(re.finditer(r"[_\-. ]+", stem))))]
        image = next((images[place, each] for each in cuts if (place, each) in images), None)
        if image is None or bases[image][1] == stem:
            continue
        chosen = masks[found[image]][1]
        ending = chosen.removeprefix(bases[image][1]).lower().strip("_-. ")
        is_numbered = re.fullmatch(rf"{re.escape(chosen)}[_\-. ]*\(?\d+\)?", stem)
        if ending and (ending not in _MASK_WORDS or is_numbered):
            raise ValueError(
                f"image {image} has several masks: {found[image].name} and {mask.name}; merge them into one, remove "
                "the others, or say which with --mask_suffix, e.g. --mask_suffix _mask"
            )


def _by_key(pictures: Mapping[Path, tuple[Path, str]], masks: Mapping[Path, tuple[Path, str]]) -> dict[Path, Path]:
    """Matches by subfolder and stem, and by the stem in any case where that is unique."""
    exact, loose = defaultdict(list), defaultdict(list)
    for path, (place, stem) in masks.items():
        exact[place, stem].append(path)
        loose[place, stem.casefold()].append(path)
    found = {}
    for path, (place, stem) in pictures.items():
        if options := exact[place, stem] or loose[place, stem.casefold()]:
            found[path] = _preferred(path, options)
    return found


def _preferred(picture: Path, masks: Sequence[Path]) -> Path:
    """The one mask, or of several kinds the PNG; label images come before coloured copies of them."""
    if len(masks) == 1:
        return masks[0]
    of_kind = [path for path in masks if path.suffix.lower() == MASK_SUFFIXES[0]] or list(masks)
    if len(of_kind) > 1:
        raise ValueError(
            f"image {picture} has {len(of_kind)} masks: {', '.join(path.name for path in of_kind[:4])}; say which with "
            "--mask_suffix, e.g. --mask_suffix _mask, or remove the others"
        )
    return of_kind[0]


def _shared_suffixes(
    pictures: Mapping[Path, tuple[Path, str]], masks: Mapping[Path, tuple[Path, str]]
) -> list[tuple[str, str]]:
    """Pairs of endings to remove from an image's name and to add for its mask, known ones first."""
    place, stem = next(iter(pictures.values()))
    rules = []
    for removed in ("", "_leftImg8bit", "_image", "_img", "_sat", "_rgb"):
        base = stem.removesuffix(removed)
        if removed and base == stem:
            continue
        here = {other[len(base) :] for at, other in masks.values() if at == place and other.startswith(base)}
        rules += [(removed, added) for added in here if added and not added[0].isalnum()]
    words = {word: number for number, word in enumerate(_MASK_WORDS)}
    return sorted(rules, key=lambda rule: (words.get(rule[1].lower().strip("_-. "), len(words)), rule))


def _stripped(stem: str, words: Sequence[str]) -> str:
    """The stem without one of the words in front or behind; digits may follow it directly, as in `mask12`."""
    alternatives = "|".join(sorted(words, key=len, reverse=True))
    shorter = re.sub(rf"(?i)[_\-. ]+(?:{alternatives})$", "", stem)
    return shorter if shorter != stem else re.sub(rf"(?i)^(?:{alternatives})(?:[_\-. ]+|(?=\d))", "", stem)


def _without_inner(stem: str, words: Sequence[str]) -> str:
    """The stem without the first of the words that stands between others, as in `a_mask_12`."""
    alternatives = "|".join(sorted(words, key=len, reverse=True))
    return re.sub(rf"(?i)(?<=[_\-. ])(?:{alternatives})[_\-. ]+", "", stem, count=1)


def _by_rest(pictures: Sequence[Path], masks: Sequence[Path]) -> dict[Path, Path]:
    """The mask of each picture by what differs in their names, in any folder; empty unless all of both fit."""
    rests, others = _rests(pictures), _rests(masks)
    return {path: others[rest] for rest, path in rests.items()} if set(rests) == set(others) else {}


def _rests(paths: Sequence[Path]) -> dict[str, Path]:
    """File by what its stem has between the parts that all stems share; empty if two have the same.

    Digits are never part of what is shared, and zeros in front of a number do not count.
    """
    stems = [normal(path.stem) for path in paths]
    first = _shared(stems)
    last = _shared([stem[first:][::-1] for stem in stems])
    rests = [re.sub(r"\d+", lambda number: str(int(number[0])), stem[first : len(stem) - last]) for stem in stems]
    found = {rest.casefold(): path for rest, path in zip(rests, paths, strict=True)}
    return found if len(found) == len(paths) else {}


def _shared(texts: Sequence[str]) -> int:
    """Number of characters that all texts begin with, without digits at their end."""
    low, high = min(texts), max(texts)
    length = next((at for at, pair in enumerate(zip(low, high, strict=False)) if pair[0] != pair[1]), len(low))
    return len(low[:length].rstrip("0123456789"))


def _missing(pictures: Sequence[Path], candidates: Sequence[Path], images: Path, masks: Path, mask_suffix: str) -> str:
    first = pictures[0]
    expected = masks / first.relative_to(images).parent / f"{first.stem}{mask_suffix}.png"
    hint = nearest(first.stem, [path.stem for path in candidates])
    more = f", as have {len(pictures) - 1} more images" if len(pictures) > 1 else ""
    return (
        f"image {first} has no mask{more}: expected {expected}{hint}; add the mask, remove the image, or give the end "
        "of the masks' names, e.g. --mask_suffix _mask"
    )
