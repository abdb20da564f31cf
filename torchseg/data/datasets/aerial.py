"""Aerial images of Dubai with six classes. Source: https://humansintheloop.org/resources/datasets/ ."""

from __future__ import annotations

import re
from pathlib import Path

from torchseg.data.file_samples import FileSamples, check_pair
from torchseg.data.images.io import find_files, find_pictures
from torchseg.data.masks.colour_table import ColourTable
from torchseg.data.masks.io import read_colours
from torchseg.data.sample import DataSet
from torchseg.spec import IGNORE_INDEX

FOLDER = "aerial"
_COLOURS = {
    "building": 0x3C1098,
    "land": 0x8429F6,
    "road": 0x6EC1E4,
    "vegetation": 0xFEDD3A,
    "water": 0xE2A929,
    "unlabelled": 0x9B9B9B,
}
CLASSES = tuple(_COLOURS)


def aerial(root: Path) -> DataSet:
    """Reads `Tile N/images/*.jpg` and `Tile N/masks/*.png`, coloured or with a palette, in `root` or `root/aerial`.

    There is no official split. Neighbouring images overlap, so whole tiles are held out by their number: 2, 6, 10, ...
    for the test split, 3, 11, 19, ... for the validation split. Black is not a class and is ignored. Unknown colours
    raise a ValueError when a mask is read.

    Raises:
        ValueError: if there is no tile, or an image has no mask.
    """
    folder = root / FOLDER if (root / FOLDER).is_dir() else root
    tiles = [path for path in find_files(folder, "*") if path.is_dir() and re.search(r"\d+$", path.name)]
    if not tiles:
        raise ValueError(
            f"{folder} has no tiles; give the folder with 'Tile 1/images', 'Tile 1/masks', ... or the folder that "
            f"holds {FOLDER}/ as --root"
        )
    pairs: dict[str, list[tuple[Path, Path]]] = {"train": [], "validation": [], "test": []}
    for tile in tiles:
        pairs[_part(tile)] += _pairs(tile)
    table = ColourTable({rgb: value for value, rgb in enumerate(_COLOURS.values())} | {0: IGNORE_INDEX}, source=_SOURCE)
    train, validation, test = (
        FileSamples(chosen, classes=CLASSES, decode=table.decode, read=read_colours, name=_name)
        for chosen in pairs.values()
    )
    files = [file for chosen in pairs.values() for pair in chosen for file in pair]
    return DataSet(classes=CLASSES, train=train, validation=validation, test=test, upright=False, files=files)


_SOURCE = f"the list of classes ({', '.join(f'{name} {rgb:06X}' for name, rgb in _COLOURS.items())}, black for none)"


def _part(tile: Path) -> str:
    number = int(re.findall(r"\d+$", tile.name)[0])
    if number % 4 == 2:
        return "test"
    return "validation" if number % 8 == 3 else "train"


def _pairs(tile: Path) -> list[tuple[Path, Path]]:
    pairs = [(picture, tile / "masks" / f"{picture.stem}.png") for picture in find_pictures(tile / "images")]
    for picture, mask in pairs:
        check_pair(picture, mask)
    return pairs


def _name(picture: Path) -> str:
    return f"{picture.parent.parent.name} {picture.stem}"  # the same file names recur in every tile
