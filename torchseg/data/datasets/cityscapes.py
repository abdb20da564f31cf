"""Cityscapes with its 19 classes for training. Source: https://www.cityscapes-dataset.com , arXiv:1604.01685."""

from __future__ import annotations

from pathlib import Path

from torchseg.data.datasets.idd import CITYSCAPES as CLASSES
from torchseg.data.file_samples import FileSamples, check_pair
from torchseg.data.images.io import SUFFIXES, find_files
from torchseg.data.masks.value_table import ValueTable
from torchseg.data.named_files import NamedFiles
from torchseg.data.sample import DataSet
from torchseg.data.splits.official import split_named, three_splits
from torchseg.spec import IGNORE_INDEX

FOLDER = "cityscapes"
_IMAGE = "_leftImg8bit"
_LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)  # in the order of the classes
_MASKS = ("_gtFine_labelIds.png", "_gtFine_labelTrainIds.png")
_UNPACKED = {"leftImg8bit": "leftImg8bit_trainvaltest", "gtFine": "gtFine_trainvaltest"}  # folders of the two archives


def cityscapes(root: Path) -> DataSet:
    """Reads `leftImg8bit/SPLIT/CITY/*_leftImg8bit.png` and `gtFine/SPLIT/CITY/*_gtFine_labelIds.png`.

    They are in `root` or `root/cityscapes`, or each in the folder of its archive there. Label numbers become the 19
    classes that are trained on; the others are ignored. Masks `labelTrainIds` are read as they are where there are no
    `labelIds`. The official test split has no masks, so the validation split is the test split, and about 15 % of the
    training cities are the validation split.

    Raises:
        ValueError: naming what is missing.
    """
    folder = root / FOLDER if (root / FOLDER).is_dir() else root
    images, labels = (
        next((path for path in (folder / name, folder / archive / name) if path.is_dir()), folder / name)
        for name, archive in _UNPACKED.items()
    )
    pictures = [path for path in find_files(images, f"*/*/*{_IMAGE}.*") if path.suffix.lower() in SUFFIXES]
    found = {_ending(path) for path in find_files(labels, "*/*/*")}
    ending = next((each for each in _MASKS if each in found), None)
    if not pictures or ending is None:
        raise ValueError(f"{folder} is not Cityscapes; give the folder with leftImg8bit/ and gtFine/ as --root")
    parts: dict[str, list[tuple[Path, Path]]] = {}
    masks = NamedFiles((".png",))
    for picture in pictures:
        split, city = picture.parts[-3:-1]
        if split == "test":
            continue  # its masks are withheld: all of their pixels are ignored
        name = f"{picture.stem.removesuffix(_IMAGE)}{ending}"
        mask = masks.find(name, [labels / split / city]) or labels / split / city / name
        check_pair(picture, mask)
        parts.setdefault(split_named(split), []).append((picture, mask))
    table = _table() if ending == _MASKS[0] else None
    train, validation, test = (
        FileSamples(pairs, classes=CLASSES, decode=table.decode if table else None)
        for pairs in three_splits(parts, group=lambda picture: picture.parent.name).values()
    )
    files = [file for pairs in parts.values() for pair in pairs for file in pair]
    return DataSet(classes=CLASSES, train=train, validation=validation, test=test, files=files)


def _ending(mask: Path) -> str:
    """`_gtFine_labelIds.png` of such a file, whatever the case of `.png`."""
    return f"_{'_'.join(mask.stem.rsplit('_', 2)[1:])}{mask.suffix.lower()}"


def _table() -> ValueTable:
    values = dict.fromkeys(range(256), IGNORE_INDEX) | {number: at for at, number in enumerate(_LABEL_IDS)}
    return ValueTable(values, names=CLASSES, source="Cityscapes")
