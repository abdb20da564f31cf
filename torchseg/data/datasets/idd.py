"""The Indian Driving Dataset in three layouts. Source: https://idd.insaan.iiit.ac.in , arXiv:1811.10200."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torchseg.data.file_samples import FileSamples, check_pair
from torchseg.data.images.io import find_files
from torchseg.data.masks.colour_table import ColourTable
from torchseg.data.masks.io import read_colours, read_mask
from torchseg.data.sample import DataSet
from torchseg.data.splits.official import hold_out

FOLDER = "idd"
Pairs = list[tuple[Path, Path]]

LEVEL_3 = (
    *("road", "drivable fallback", "sidewalk", "non-drivable fallback", "person", "rider", "motorcycle", "bicycle"),
    *("autorickshaw", "car", "truck", "bus", "vehicle fallback", "curb", "wall", "fence", "guard rail", "billboard"),
    *("traffic sign", "traffic light", "pole", "obstacle fallback", "building", "bridge", "vegetation", "sky"),
)
CITYSCAPES = (
    *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation"),
    *("terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"),
)
LITE = ("drivable", "non-drivable", "living things", "vehicles", "roadside objects", "far objects", "sky")
COLOURS = {  # of the repackaging with coloured masks, RGB
    "road": 0x804080,
    "parking": 0xFAAAA0,
    "sidewalk": 0xF423E8,
    "rail track": 0xE6968C,
    "person": 0xDC143C,
    "rider": 0xFF0000,
    "motorcycle": 0x0000E6,
    "bicycle": 0x770B20,
    "autorickshaw": 0xFFCC36,
    "car": 0x00008E,
    "truck": 0x000046,
    "bus": 0x003C64,
    "caravan": 0x00005A,
    "curb": 0xDCBE28,
    "wall": 0x66669C,
    "fence": 0xBE9999,
    "guard rail": 0xB4A5B4,
    "billboard": 0xAE4043,
    "traffic sign": 0xDCDC00,
    "traffic light": 0xFAAA1E,
    "pole": 0x999999,
    "other structure": 0xA9BBD6,
    "building": 0x464646,
    "bridge": 0x966464,
    "vegetation": 0x6B8E23,
    "sky": 0x4682B4,
    "unlabelled": 0x000000,
}


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """File names of one release, in `leftImg8bit/SPLIT/DRIVE` and `gtFine/SPLIT/DRIVE`."""

    picture: str  # end of an image's file name, without .png or .jpg
    mask: str
    classes: tuple[str, ...]


_LAYOUTS = (
    _Layout(picture="_leftImg8bit", mask="_gtFine_labellevel3Ids.png", classes=LEVEL_3),
    _Layout(picture="_leftImg8bit", mask="_gtFine_labelcsTrainIds.png", classes=CITYSCAPES),
    _Layout(picture="_image", mask="_label.png", classes=LITE),
)
_EXPECTED = (
    "give the folder with leftImg8bit/ and gtFine/ (labels of level 3, of Cityscapes, or of IDD-Lite), or the one with "
    "train/images/ and train/rgb_labels/, or the folder that holds idd/ as --root"
)


def idd(root: Path) -> DataSet:
    """Reads the data set in `root` or `root/idd`, in whichever of these layouts it has.

    - level 3: `leftImg8bit/SPLIT/DRIVE/FRAME_leftImg8bit.{png,jpg}`, `gtFine/.../FRAME_gtFine_labellevel3Ids.png`, 26
      classes; or with `labelcsTrainIds`, the 19 classes of Cityscapes.
    - IDD-Lite: `leftImg8bit/SPLIT/DRIVE/FRAME_image.jpg`, `gtFine/SPLIT/DRIVE/FRAME_label.png`, 7 classes.
    - coloured: `SPLIT/images/*_leftImg8bit.jpg`, `SPLIT/rgb_labels/*_gtFine_polygons.png`, 27 classes.

    255 is ignored. The official test split has no masks. Therefore the official validation split is the test split
    here, and about 15 % of the training drives are the validation split: whole drives, because the frames of a drive
    resemble each other. A coloured data set whose test split has masks keeps its three splits; otherwise single images
    are held out for validation, because this layout does not name drives.

    Raises:
        ValueError: if the folder has none of these layouts, or an image has no mask.
    """
    folder = root / FOLDER if (root / FOLDER).is_dir() else root
    if (folder / "leftImg8bit").is_dir():
        return _official(folder)
    if (folder / "train" / "rgb_labels").is_dir():
        return _coloured(folder)
    raise ValueError(f"{folder} is not the Indian Driving Dataset; {_EXPECTED}")


def _official(folder: Path) -> DataSet:
    layout = next((each for each in _LAYOUTS if any(folder.glob(f"gtFine/train/*/*{each.mask}"))), None)
    if layout is None:
        endings = ", ".join(each.mask for each in _LAYOUTS)
        raise ValueError(f"{folder / 'gtFine' / 'train'} holds no label images ({endings}); {_EXPECTED}")
    labelled = _official_pairs(folder, "train", layout)
    train, validation = _held_out(labelled, group=lambda picture: picture.parent.name)

    def samples(pairs: Pairs) -> FileSamples:
        return FileSamples(pairs, classes=layout.classes, read=read_mask, name=_with_drive)

    return _data_set(layout.classes, samples, [train, validation, _official_pairs(folder, "val", layout)])


def _official_pairs(folder: Path, split: str, layout: _Layout) -> Pairs:
    found = find_files(folder, f"leftImg8bit/{split}/*/*{layout.picture}.*")
    pictures = [path for path in found if path.suffix.lower() in (".png", ".jpg", ".jpeg")]
    if not pictures:
        wanted = folder / "leftImg8bit" / split / "DRIVE" / f"FRAME{layout.picture}.jpg"
        raise ValueError(f"the {split} split has no images: expected files such as {wanted}; {_EXPECTED}")
    pairs = []
    for picture in pictures:
        frame = picture.stem.removesuffix(layout.picture)
        pairs.append((picture, folder / "gtFine" / split / picture.parent.name / f"{frame}{layout.mask}"))
    return _checked(pairs)


def _coloured(folder: Path) -> DataSet:
    parts = [_coloured_pairs(folder, "train"), _coloured_pairs(folder, "val")]
    if (folder / "test" / "rgb_labels").is_dir():
        parts.append(_coloured_pairs(folder, "test"))
    else:
        parts = [*_held_out(parts[0], group=lambda picture: picture.stem), parts[1]]
    colours = {rgb: value for value, rgb in enumerate(COLOURS.values())}
    table = ColourTable(colours, source="the list of the 27 colours of IDD")

    def samples(pairs: Pairs) -> FileSamples:
        return FileSamples(pairs, classes=tuple(COLOURS), decode=table.decode, read=read_colours)

    return _data_set(tuple(COLOURS), samples, parts)


def _coloured_pairs(folder: Path, split: str) -> Pairs:
    pictures = find_files(folder / split / "images", "*_leftImg8bit.*")
    if not pictures:
        raise ValueError(f"{folder / split / 'images'} holds no images *_leftImg8bit.jpg; {_EXPECTED}")
    masks = folder / split / "rgb_labels"
    return _checked(
        [(picture, masks / f"{picture.stem.removesuffix('_leftImg8bit')}_gtFine_polygons.png") for picture in pictures]
    )


def _checked(pairs: Pairs) -> Pairs:
    for picture, mask in pairs:
        check_pair(picture, mask)
    return pairs


def _held_out(pairs: Pairs, *, group: Callable[[Path], str]) -> tuple[Pairs, Pairs]:
    """Splits pairs into training and validation; `group` maps an image file to a group that stays together."""
    groups = {group(picture) for picture, _ in pairs}
    if len(groups) < 2:
        raise ValueError(f"the training split has one drive, {groups.pop()}; validation needs another one: add drives")
    return hold_out(pairs, group=group)


def _data_set(classes: tuple[str, ...], samples: Callable[[Pairs], FileSamples], parts: Sequence[Pairs]) -> DataSet:
    train, validation, test = (samples(pairs) for pairs in parts)
    files = [file for pairs in parts for pair in pairs for file in pair]
    return DataSet(classes=classes, train=train, validation=validation, test=test, files=files)


def _with_drive(picture: Path) -> str:
    return f"{picture.parent.name}_{picture.stem}"  # frame numbers repeat in every drive
