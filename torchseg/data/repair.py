"""Writes a repaired copy of a user's own data set, and says what was repaired."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from torchseg.data.datasets.folder import choose_splits
from torchseg.data.images.identical import digest_of
from torchseg.data.images.io import check_new_folder
from torchseg.data.images.orientation import mask_as_it_looks
from torchseg.data.images.reader import ANY, ImageReader, reader_for
from torchseg.data.masks.class_list import read_class_list
from torchseg.data.masks.repair import MaskRepair, plan_repair
from torchseg.data.pairing import Pairing, pair_files
from torchseg.data.places import Places, find_places
from torchseg.data.splits.grouping import AUTO
from torchseg.data.splits.lists import PARTS, by_folder, find_lists, read_split_lists
from torchseg.plural import counted, verb

LIST = "repairs.txt"
_KEPT_FIRST = ("test", "validation", "train")  # of the splits that share an image, the first keeps it
_SAME_SHAPE = 0.02  # difference of the ratios of width to height


def repair_folder(
    root: Path,
    out: Path,
    *,
    mask_suffix: str = "",
    ignore_value: int | None = None,
    images: ImageReader = ANY,
    on_picture: Callable[[], object] = lambda: None,
) -> list[str]:
    """Copies a data set as `folder` reads it, without the faults that can be mended.

    Images keep their files; masks become PNGs of class numbers. Pixels that smoothing or JPEG mixed take the class
    nearest to them; values with gaps are numbered from 0; masks of another size than their image are resized by
    nearest neighbour if their shape is the same; masks with an EXIF orientation are saved as they look. Left out are
    images without mask, files that cannot be read, masks with values that are no class, and images that are in a
    second split: test keeps them before validation, and that before train. `repairs.txt` lists everything.

    Args:
        root: folder with `images/` and `masks/`.
        out: a new or empty folder.
        mask_suffix: as in `folder`.
        ignore_value: as in `folder`.
        images: as in `folder`.
        on_picture: called after each image.

    Returns:
        One sentence per repair, as in `repairs.txt`.

    Raises:
        ValueError: if `out` is not empty, or for a fault that cannot be mended.
    """
    check_new_folder(out, flag="fix")
    log: list[str] = []

    def leave_out(fault: str) -> None:
        log.append(f"left out: {fault}")

    place = find_places(root)
    paired = pair_files(place.images, place.masks, mask_suffix=mask_suffix, on_fault=leave_out)
    paired = replace(paired, pairs=[pair for pair in paired.pairs if _reads(pair[0], images, leave_out)])
    images = reader_for([picture for picture, _ in paired.pairs], images)
    parts = _parts(place, paired, images, log, leave_out)
    classes = read_class_list(place.classes) if place.classes else None
    plan = plan_repair([mask for _, mask in paired.pairs], classes, ignored=ignore_value)
    log += [plan.note] if plan.note else []
    writer = _Writer(out, plan, paired.names, log, images)
    masks = dict(paired.pairs)
    for part in _KEPT_FIRST:
        for picture in parts[part]:
            writer.add(part, picture, masks[picture])
            on_picture()
    writer.close()
    return log


def _reads(picture: Path, images: ImageReader, leave_out: Callable[[str], None]) -> bool:
    try:
        images.stored(picture)
    except ValueError as error:
        leave_out(str(error))
        return False
    return True


def _parts(
    place: Places, paired: Pairing, images: ImageReader, log: list[str], leave_out: Callable[[str], None]
) -> dict[str, list[Path]]:
    pictures = [picture for picture, _ in paired.pairs]
    lists = find_lists(place.images.parent)
    if not lists:
        given = by_folder(pictures, place.images)
        return given or choose_splits(paired, AUTO, images=images, classes_in=None)[0]
    names = {paired.names[path]: path for path in pictures}
    chosen, note = read_split_lists(lists, names, masks=dict(paired.pairs), on_fault=leave_out)
    log += [note] if note else []
    return _disjoint(chosen, log)


def _disjoint(parts: Mapping[str, list[Path]], log: list[str]) -> dict[str, list[Path]]:
    """Each image in one split alone: one of several lists is kept in the smaller of validation and test."""
    found = Counter(path for chosen in parts.values() for path in chosen)
    kept = {part: [path for path in chosen if found[path] == 1] for part, chosen in parts.items()}
    repeated = [path for path, times in found.items() if times > 1]
    for path in repeated:
        options = [part for part in ("validation", "test") if path in parts[part]]
        kept[min(options, key=lambda part: len(kept[part]))].append(path)
    if repeated:
        were = verb(len(repeated), "was", "were")
        log.append(
            f"{counted(len(repeated), 'image')} in several lists {were} kept in one, and none of them in that of train"
        )
    return kept


@dataclass
class _Writer:
    """Writes pairs one after the other, and remembers which images it has written."""

    out: Path
    plan: MaskRepair
    names: Mapping[Path, str]
    log: list[str]
    images: ImageReader
    seen: dict[bytes, str] = field(default_factory=dict)
    listed: dict[str, list[str]] = field(default_factory=lambda: {part: [] for part in PARTS})

    def __post_init__(self) -> None:
        for name in ("images", "masks"):
            (self.out / name).mkdir(parents=True, exist_ok=True)

    def add(self, part: str, picture: Path, mask: Path) -> None:
        """Copies an image and writes its mask, or logs why it does not."""
        name = self.names[picture]
        try:
            bands, opacity, (height, width) = self.images.stored(picture)
            classes, mixed = self.plan.mend(mask)
            classes, turned = mask_as_it_looks(mask, classes, self.images.exif)
        except ValueError as error:
            self.log.append(f"left out: {error}")
            return
        pixels = bands if opacity is None else np.dstack([bands, opacity])
        first = self.seen.setdefault(digest_of(pixels), f"'{name}' of {part}")
        if first != f"'{name}' of {part}":
            self.log.append(f"left out: image '{name}' of {part} is image {first}")
            return
        if classes.shape != (height, width):
            resized = _resized(classes, height, width)
            if resized is None:
                shapes = f"{classes.shape[0]}x{classes.shape[1]} and {height}x{width}"
                self.log.append(f"left out: mask {mask} and image {picture} have other shapes, {shapes}")
                return
            self.log.append(f"mask {mask} was resized to {height}x{width}")
            classes = resized
        if turned:
            self.log.append(turned)
        if mixed:
            self.log.append(f"mask {mask}: {mixed} pixels of mixed values took the class nearest to them")
        shutil.copy2(picture, self.out / "images" / f"{name}{picture.suffix.lower()}")
        Image.fromarray(classes).save(self.out / "masks" / f"{name}.png")
        self.listed[part].append(name)

    def close(self) -> None:
        """Writes the lists of classes, splits and repairs."""
        texts = {"classes": self.plan.names, **self.listed, Path(LIST).stem: self.log}
        for name, lines in texts.items():
            (self.out / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _resized(classes: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8] | None:
    """The mask at another size, by nearest neighbour; None if its shape is another one."""
    ratio = (classes.shape[1] / classes.shape[0]) / (width / height)
    if abs(ratio - 1) > _SAME_SHAPE:
        return None
    return np.asarray(Image.fromarray(classes).resize((width, height), Image.Resampling.NEAREST))
