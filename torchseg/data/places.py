"""Finds the folders and the list of classes of a user's own data set, or says what may be meant for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from torchseg.data.images.io import is_hidden
from torchseg.data.splits.lists import split_of_folder

_CLASS_LIST = "classes.txt"
_OTHER_LISTS = {"labelmap", "label_map", "labels", "class_names", "classnames", "class_dict", "class_list", "classes"}
_OTHER_LISTS |= {"categories", "names", "codes", "label_names", "label_colors"}
_OTHER_ENDINGS = (".txt", ".csv", ".json", ".yaml", ".yml", ".names", ".pbtxt")
_HOLDS = {"images": "images", "masks": "a mask for every image in images/"}
_OTHER_NAMES = {
    "images": {"image", "img", "imgs", "jpegimages", "photos", "pictures", "frames", "input", "inputs", "rgb", "sat"}
    | {"img_dir", "imagestr", "train_images", "images_prepped_train", "leftimg8bit", "x"},
    "masks": {"mask", "labels", "label", "annotations", "annotation", "annots", "gt", "groundtruth", "ground_truth"}
    | {"segmentation", "segmentations", "segmentationclass", "seg", "targets", "manual", "label_images", "map"}
    | {"ann_dir", "labelstr", "train_masks", "train_labels", "annotations_prepped_train", "gtfine", "y"},
}
# For each value of --data, the files and folders that tell its layout.
_LAYOUTS = {
    "ade20k": ("objectInfo150.txt",),
    "cityscapes": ("leftImg8bit*", "gtFine*"),
    "coco": ("annotations/instances_*.json",),
    "cvat": ("annotations.xml",),
    "oxford-pet": ("annotations/trimaps",),
    "roboflow": ("*/_classes.csv",),
    "supervisely": ("meta.json", "*/ann"),
    "voc": ("JPEGImages", "SegmentationClass"),
}


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where the parts of a data set are.

    Attributes:
        images: folder of the images.
        masks: folder of the masks.
        classes: the list of classes; None without one.
        hint: a sentence about a file that may be meant for that list; may be empty.
    """

    images: Path
    masks: Path
    classes: Path | None
    hint: str = ""

    @contextmanager
    def hinting(self) -> Iterator[None]:
        """Adds the hint to the message of a ValueError."""
        try:
            yield
        except ValueError as error:
            if not self.hint:
                raise
            raise ValueError(f"{error} ({self.hint})") from error


def find_places(root: Path) -> Places:
    """The folders `images` and `masks` and the file `classes.txt`, in any case of letters.

    Raises:
        ValueError: naming a folder that is missing and what may be meant for it, or two files for one list.
    """
    if not root.is_dir():
        raise ValueError(f"there is no folder {root}; give the one that holds images/ and masks/")
    images, masks = (_folder(root, name) for name in ("images", "masks"))
    files = sorted(path for path in root.iterdir() if path.is_file() and not is_hidden(path.name))
    lists = [path for path in files if path.name.lower() == _CLASS_LIST]
    if len(lists) > 1:
        raise ValueError(f"{lists[0]} and {lists[1]} both list the classes; remove one of them")
    if lists:
        return Places(images=images, masks=masks, classes=lists[0])
    others = [path for path in files if path.stem.lower() in _OTHER_LISTS and path.suffix.lower() in _OTHER_ENDINGS]
    hint = f"{others[0].name} is not read: if it lists the classes, call it {_CLASS_LIST}" if others else ""
    return Places(images=images, masks=masks, classes=None, hint=hint)


def _folder(root: Path, name: str) -> Path:
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not is_hidden(path.name))
    found = [path for path in folders if path.name == name] or [path for path in folders if path.name.lower() == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{found[0]} and {found[1]} may both hold {_HOLDS[name]}; rename one of them")
    missing = f"there is no folder {root / name}; expected one with {_HOLDS[name]}"
    if layout := next((data for data, signs in _LAYOUTS.items() if all(any(root.glob(sign)) for sign in signs)), ""):
        raise ValueError(f"{missing}; this looks like another layout: give --data {layout}")
    if meant := [path.name for path in folders if path.name.lower() in _OTHER_NAMES[name]]:
        raise ValueError(f"{missing}: is it {meant[0]}? Then rename that folder to {name}")
    if parts := [path.name for path in folders if split_of_folder(Path(path.name))]:
        example = ", ".join(f"{inner}/{parts[0]}" for inner in _HOLDS)
        raise ValueError(f"{missing}; splits are folders inside of it: move the files of {parts[0]}/ to {example}, ...")
    raise ValueError(missing)
