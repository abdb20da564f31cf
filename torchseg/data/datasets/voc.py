"""Pascal VOC, and exports in its layout. Source: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/ ."""

from __future__ import annotations

from pathlib import Path

from torchseg.data.datasets.folder import read_headers
from torchseg.data.file_samples import FileSamples
from torchseg.data.images.io import find_files
from torchseg.data.masks.class_list import ClassList, read_class_list
from torchseg.data.masks.encoding import find_encoding
from torchseg.data.sample import DataSet
from torchseg.data.splits.official import split_named, three_splits
from torchseg.data.text_file import read_lines
from torchseg.spec import IGNORE_INDEX

CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
_BORDER = 0xE0E0C0  # around objects, ignored
_FOLDERS = ("", "VOC2012", "VOCdevkit/VOC2012", "VOC2007", "VOCdevkit/VOC2007")
_MASKS, _LISTS = "SegmentationClass", "ImageSets/Segmentation"


def voc(root: Path) -> DataSet:
    """Reads `JPEGImages/`, `SegmentationClass/` and lists in `ImageSets/Segmentation/`, in `root` or `root/VOC2012`.

    `labelmap.txt`, as CVAT exports it ("Segmentation mask 1.1"), gives names and colours; without it the 21 classes of
    VOC are read, and the border between objects is ignored. The official test split has no masks, so the validation
    split is the test split, and about 15 % of training is the validation split, see `three_splits`. An image that is in
    two lists is an error; `trainval.txt` is not read.

    Raises:
        ValueError: naming what is missing or invalid.
    """
    folder = next((root / each for each in _FOLDERS if (root / each / _MASKS).is_dir()), None)
    if folder is None:
        raise ValueError(
            f"{root} has no {_MASKS}/; give the folder with JPEGImages/, {_MASKS}/ and ImageSets/ as --root"
        )
    listing = folder / "labelmap.txt"
    lists = [path for path in find_files(folder / _LISTS, "*.txt") if path.stem != "trainval"]
    if not lists:
        raise ValueError(f"{folder / _LISTS} has no lists; expected train.txt and val.txt, or default.txt")
    listed: dict[str, Path] = {}
    parts: dict[str, list[tuple[Path, Path]]] = {}
    for path in lists:
        for name in filter(None, (line.strip() for line in read_lines(path))):
            if other := listed.get(name):
                raise ValueError(
                    f"{other} and {path} both name '{name}'; an image must be in one split: correct a list"
                )
            listed[name] = path
            parts.setdefault(split_named(path.stem), []).append(_pair(folder, name))
    classes = read_class_list(listing) if listing.is_file() else _official()
    encoding = find_encoding(read_headers([pair for pairs in parts.values() for pair in pairs]), classes)
    train, validation, test = (
        FileSamples(pairs, classes=encoding.classes, read=encoding.read, decode=encoding.decode)
        for pairs in three_splits(parts).values()
    )
    files = [file for pairs in parts.values() for pair in pairs for file in pair]
    files += [*lists, *([listing] if listing.is_file() else [])]
    return DataSet(classes=encoding.classes, train=train, validation=validation, test=test, files=files)


def _pair(folder: Path, name: str) -> tuple[Path, Path]:
    mask = folder / _MASKS / f"{name}.png"
    images = [folder / "JPEGImages" / f"{name}{ending}" for ending in (".jpg", ".jpeg", ".png", ".JPG")]
    image = next((path for path in images if path.is_file()), images[0])
    for path in (image, mask):
        if not path.is_file():
            raise ValueError(f"there is no {path}, and a list in {folder / _LISTS} names '{name}'; add it")
    return image, mask


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
