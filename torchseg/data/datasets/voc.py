"""Pascal VOC, and exports in its layout. Source: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/ ."""

from __future__ import annotations

from pathlib import Path

from torchseg.data.datasets.folder import read_headers
from torchseg.data.file_samples import FileSamples
from torchseg.data.images.io import SUFFIXES, find_files
from torchseg.data.masks.class_list import ClassList, read_class_list
from torchseg.data.masks.encoding import find_encoding
from torchseg.data.named_files import NamedFiles, unique_names
from torchseg.data.pairing import MASK_SUFFIXES
from torchseg.data.sample import DataSet
from torchseg.data.splits.lists import check_no_overlap, read_split_lists, split_of_folder
from torchseg.data.splits.official import split_named, three_splits
from torchseg.spec import IGNORE_INDEX

CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
_BORDER = 0xE0E0C0  # around objects, ignored
_FOLDERS = ("", "VOC2012", "VOCdevkit/VOC2012", "VOC2007", "VOCdevkit/VOC2007")
_IMAGES, _MASKS = "JPEGImages", "SegmentationClass"
_LISTS = ("ImageSets/Segmentation", "ImageSets/Main", "ImageSets")


def voc(root: Path) -> DataSet:
    """Reads `JPEGImages/`, `SegmentationClass/` and lists in `ImageSets/Segmentation/`, in `root` or `root/VOC2012`.

    `labelmap.txt`, as CVAT exports it ("Segmentation mask 1.1"), gives names and colours; without it the 21 classes of
    VOC are read, and the border between objects is ignored. Lists may also be in `ImageSets/` or `ImageSets/Main/`.
    The official test split has no masks, so the validation split is the test split, and about 15 % of training is the
    validation split, see `three_splits`. An image that is in two lists is an error; `trainval.txt` is not read.

    Raises:
        ValueError: naming what is missing or invalid.
    """
    folder = next((root / each for each in _FOLDERS if (root / each / _MASKS).is_dir()), None)
    if folder is None:
        raise ValueError(
            f"{root} has no {_MASKS}/; give the folder with {_IMAGES}/, {_MASKS}/ and ImageSets/ as --root"
        )
    lists = _lists(folder)
    names = unique_names([path for path in find_files(folder / _IMAGES, "**/*") if path.suffix.lower() in SUFFIXES])
    files = NamedFiles(MASK_SUFFIXES)
    masks = {image: mask for image in names if (mask := _mask(image, folder, files))}
    by_name = {name: image for image, name in names.items()}
    listed = read_split_lists(lists, by_name, masks=masks, where=f"{_IMAGES}/")[0]
    check_no_overlap(lists, listed)
    parts: dict[str, list[tuple[Path, Path]]] = {}
    for stem, images in listed.items():
        pairs = parts.setdefault(split_named(stem), [])
        pairs += [(image, masks[image]) for image in images if image in masks]
        if missing := next((image for image in images if image not in masks), None):
            expected = folder / _MASKS / f"{missing.stem}.png"
            raise ValueError(f"there is no {expected}, and {lists[stem]} names '{missing.stem}'; add it")
    listing = folder / "labelmap.txt"
    classes = read_class_list(listing) if listing.is_file() else _official()
    encoding = find_encoding(read_headers([pair for pairs in parts.values() for pair in pairs]), classes)
    train, validation, test = (
        FileSamples(pairs, classes=encoding.classes, read=encoding.read, decode=encoding.decode, name=names.__getitem__)
        for pairs in three_splits(parts).values()
    )
    used = [file for pairs in parts.values() for pair in pairs for file in pair]
    used += [*lists.values(), *([listing] if listing.is_file() else [])]
    return DataSet(classes=encoding.classes, train=train, validation=validation, test=test, files=used)


def _lists(folder: Path) -> dict[str, Path]:
    """The lists of images by their stem, from the first folder that has some; raises ValueError if there is none."""
    for place in _LISTS:
        found = {path.stem: path for path in find_files(folder / place, "*.txt") if path.stem.lower() != "trainval"}
        if place != _LISTS[0]:  # beside lists for each class
            found = {stem: path for stem, path in found.items() if split_of_folder(Path(stem)) or stem == "default"}
        if found:
            return found
    raise ValueError(f"{folder / _LISTS[0]} has no lists; expected train.txt and val.txt, or default.txt")


def _mask(image: Path, folder: Path, files: NamedFiles) -> Path | None:
    place = image.relative_to(folder / _IMAGES).with_suffix(MASK_SUFFIXES[0])
    return files.find(str(place), [folder / _MASKS])


def _official() -> ClassList:
    values = {value: value for value in range(len(CLASSES))}
    colours = {_colour(value): value for value in values} | {_BORDER: IGNORE_INDEX}
    return ClassList(names=CLASSES, values=values, colours=colours, source="the colours of Pascal VOC")


def _colour(value: int) -> int:
    """The colour of a class: the bits of its number, dealt to red, green and blue from the highest bit down."""
    channels = [0, 0, 0]
    for level in range(8):
        for channel in range(3):
            channels[channel] |= (value >> (3 * level + channel) & 1) << (7 - level)
    return channels[0] << 16 | channels[1] << 8 | channels[2]
