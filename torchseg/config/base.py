"""Flags shared by all commands, flags that select the data, and the values that flags accept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torchseg.cores import available_cores
from torchseg.modelfile.precision import Precision
from torchseg.spec import GENERATED, IGNORE_INDEX, nearest

_MOST_SEEDS, _MOST_THREADS, _LONGEST_SIDE = 2**32, 1024, 2**13

PRECISIONS = tuple(each.value for each in Precision)
IO_TYPES = ("uint8", "float")
# Input scalings by name, as (mean, std) for images in [0, 1]: the network sees (image - mean) / std.
SCALINGS = {
    "0-1": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "-1-1": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "0-255": ((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
}
MODEL_NAMES = (
    *("attention_unet", "fast_unet", "lite_student", "multi_unet", "multiscale_student", "multiscale_unet"),
    *("small_unet", "unet", "xception_unet"),
)
"""Keys of `torchseg.models.MODELS`, which is slow to import."""
TargetName = Literal["phone", "server-cpu", "browser", "smallest"]
SEARCH_ENGINES = ("nni", "optuna")
Auto = Literal["auto"]
"""Leaves a choice to the program, which derives it from the machine or keeps what the run was started with."""


@dataclass(frozen=True, kw_only=True)
class CommonConfig:
    """Flags of every command.

    Attributes:
        seed: Seed for initial weights, shuffling and augmentation; the same seed gives the same result.
        threads: Number of CPU threads; auto or 0 uses every core that this process may use.
    """

    seed: int = 0
    threads: int | Auto = "auto"

    def __post_init__(self) -> None:
        if not 0 <= self.seed < _MOST_SEEDS:
            raise ValueError(f"seed is {self.seed}; give a whole number from 0 to {_MOST_SEEDS - 1}")
        if self.threads != "auto" and not 0 <= self.threads <= _MOST_THREADS:
            raise ValueError(f"threads is {self.threads}; give 1 to {_MOST_THREADS}, or auto for one per core")

    @property
    def cores(self) -> int:
        """`threads`, or the number of cores that this process may use, limited by the container's CPU quota."""
        return available_cores() if self.threads == "auto" else self.threads or available_cores()


@dataclass(frozen=True, kw_only=True)
class DataConfig(CommonConfig):
    """Flags that select the data.

    Attributes:
        data: Data set: scenes (built in, needs no files), folder (your own images/ and masks/), an export of an
            annotation tool (coco, cvat, labelme, roboflow, supervisely, voc), or ade20k, aerial, camvid,
            cityscapes, idd, oxford-pet, oxford-pet-binary (pet against background).
        root: Folder of the data set, or its parent folder.
        download: Download the data set into --root first; for oxford-pet and oxford-pet-binary alone.
        image_size: Input size of the networks in pixels: N, or H,W. Default: 64 for scenes, 128 otherwise.
        channels: Channels of the images. Default: as many as the images of --data folder have, all alike, else 3. 3
            turns grey images into RGB, 1 turns RGB into grey, and of more bands the first ones are taken.
        value_range: Values LOW,HIGH of the image files that become black and white. Default: 0,255 for 8 bits; for 16
            bits the smallest of 10, 12, 14 and 16 bits that holds every image; 0,1 for floats.
        exif: apply turns images as their EXIF orientation says; ignore reads the pixels as stored.
        patch_size: Cut large images (e.g. those of aerial) into square patches with this side in pixels, then resize
            each patch to --image_size. 0 uses whole images.
        patch_overlap: Share of its side by which a patch overlaps its neighbour, in [0, 1).
        mask_suffix: What the name of a mask has behind the name of its image, e.g. _mask, with --data folder. Default:
            found from the names.
        ignore_value: A value of masks without colours that is ignored as 255 is, with --data folder. Default: none.
        group: Which images of --data folder stay in one split: folder (those of a subfolder), none, a regular
            expression (those in whose names it finds equal text, e.g. '^seq[0-9]+'), or auto: subfolders if there are
            at least 6, otherwise images that look alike, such as frames of a video, if there are at most 300 images.
        split: Where the splits of --data folder come from: auto takes lists or subfolders of that name where there are
            any, and stratified chooses all of them, so that each shows every class that enough images show.
        fold: One fold of a cross-validation of --data folder, N/K: the N-th of K parts of the images is the test split,
            the next one the validation split. Default: 70, 15 and 15 % of the images.
        ignore_classes: Names of classes whose pixels are ignored, separated by commas.
        merge: Classes that become one, e.g. 'road,parking -> drivable'; several rules are separated by semicolons.
    """

    data: str = GENERATED
    root: Path | None = None
    download: bool = False
    image_size: str = ""
    channels: int = 0
    value_range: str = ""
    exif: Literal["apply", "ignore"] = "apply"
    patch_size: int = 0
    patch_overlap: float = 0.0
    mask_suffix: str = ""
    ignore_value: int | None = None
    group: str = "auto"
    split: Literal["auto", "stratified"] = "auto"
    fold: str = ""
    ignore_classes: str = ""
    merge: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.size, self.values
        if self.channels < 0:
            raise ValueError(f"channels is {self.channels}; give a number such as 1 or 4, or 0 to count them")
        if self.patch_size < 0:
            raise ValueError(f"patch_size is {self.patch_size}; give a side in pixels, or 0 for whole images")
        if self.ignore_value is not None and not 0 <= self.ignore_value <= IGNORE_INDEX:
            raise ValueError(f"ignore_value is {self.ignore_value}; give the value of a mask, from 0 to {IGNORE_INDEX}")
        if not 0 <= self.patch_overlap < 1:
            raise ValueError(f"patch_overlap is {self.patch_overlap}; give a share in [0, 1), e.g. 0.25")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the networks' input, in pixels."""
        if not self.image_size:
            return (64, 64) if self.data == GENERATED else (128, 128)
        return height_and_width("image_size", self.image_size)

    @property
    def values(self) -> tuple[float, float] | None:
        """`value_range`, parsed: the values that become black and white; None if not given."""
        return low_and_high(self.value_range)


@dataclass(frozen=True, kw_only=True)
class PrepareConfig(DataConfig):
    """Checks a data set, shows what it contains, and can write a smaller copy of it.

    Example:
        --data folder --root mine --out mine_small

    Attributes:
        out: Folder for a copy whose images are no larger than training at --image_size needs (about twice that size);
            read it with --data folder. Default: only check.
        fix: Folder for a repaired copy of --data folder: mixed pixels, values with gaps, sizes and images in two splits
            are mended, the rest is left out, and repairs.txt says what was done. Default: only check.
    """

    out: Path | None = None
    fix: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fix and self.data != "folder":
            raise ValueError(f"fix mends a data set of the kind folder, and data is {self.data}; drop --fix")
        if self.fix and self.out:
            raise ValueError("fix and out each write a copy; give --fix alone, and then --out for the repaired copy")


def height_and_width(flag: str, text: str) -> tuple[int, int]:
    """Parses N or H,W in pixels; raises a ValueError that names the flag."""
    sides = [side.strip() for side in text.split(",")]
    if len(sides) > 2 or not all(side.isdecimal() and len(side) < 10 and int(side) > 0 for side in sides):
        raise ValueError(f"{flag} is '{text[:80]}'; give N or H,W in pixels, e.g. 128 or 96,128")
    if max(map(int, sides)) > _LONGEST_SIDE:
        raise ValueError(
            f"{flag} is '{text}'; give at most {_LONGEST_SIDE} pixels a side, or cut images by --patch_size"
        )
    return int(sides[0]), int(sides[-1])


def low_and_high(text: str) -> tuple[float, float] | None:
    """Parses the flag value_range, LOW,HIGH; None for an empty text. Raises ValueError that names the flag."""
    if not text:
        return None
    values = numbers("value_range", text)
    if len(values) != 2 or not values[0] < values[1]:
        raise ValueError(f"value_range is '{text}'; give LOW,HIGH with LOW below HIGH, e.g. 0,4095")
    return values[0], values[1]


def numbers(flag: str, text: str) -> tuple[float, ...]:
    """Parses comma-separated numbers; raises a ValueError that names the flag."""
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"{flag} is '{text}'; give numbers separated by commas, e.g. 0.5,0.5,0.5") from error


def choices(flag: str, text: str, known: tuple[str, ...]) -> list[str]:
    """Parses comma-separated words and drops repeats; raises ValueError for an unknown word or an empty list."""
    chosen = [item.strip() for item in text.split(",") if item.strip()]
    for item in chosen:
        if item not in known:
            raise ValueError(f"{flag} names '{item}'{nearest(item, known)}; choose from {', '.join(known)}")
    if not chosen:
        raise ValueError(f"{flag} is empty; choose from {', '.join(known)}")
    return list(dict.fromkeys(chosen))
