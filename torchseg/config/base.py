"""Flags of every command, those that name pictures, and the words that flags may use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torchseg.cores import available_cores
from torchseg.spec import nearest

_MOST_SEEDS, _MOST_THREADS = 2**32, 1024

FORMATS = ("onnx", "tflite")
SCHEDULES = ("cosine", "stable")
PRECISIONS = ("fp32", "fp16", "dynamic", "int8")
IO_TYPES = ("uint8", "float")
# What a network's pixels may be, as (mean, std) of pictures in [0, 1].
SCALINGS = {
    "0-1": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "-1-1": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "0-255": ((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
}
RUNTIME_NAMES = ("torch", "onnxruntime", "litert", "openvino")
SEARCH_ENGINES = ("nni", "optuna")
Auto = Literal["auto"]
"""A choice that is left to the program, which takes it from the machine or from what the run was begun with."""


@dataclass(frozen=True, kw_only=True)
class CommonConfig:
    """Flags of every command.

    Attributes:
        seed: Of weights, order and views; the same seed gives the same result.
        threads: Threads to compute with; auto or 0 takes every core that this process may use.
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
        """`threads`, or the number of cores that this process may use, its container's quota counted."""
        return available_cores() if self.threads == "auto" else self.threads or available_cores()


@dataclass(frozen=True, kw_only=True)
class DataConfig(CommonConfig):
    """Flags that name pictures.

    Attributes:
        data: Data set: scenes (built in, needs no files), folder (your own images/ and masks/), oxford-pet,
            oxford-pet-binary (pet against background), camvid, idd, or aerial.
        root: The data set's folder, or the folder that holds it.
        download: Fetch the data set into --root first, where it can be fetched.
        image_size: Size that the networks see: N, or H,W. Default: 64 for scenes, 128 otherwise.
        patch_size: Cut every picture into squares of this many pixels, which are then resized like whole pictures; for
            large ones, such as those of aerial. 0 takes whole pictures.
        patch_overlap: Share of a patch that its neighbour shows too.
    """

    data: str = "scenes"
    root: Path | None = None
    download: bool = False
    image_size: str = ""
    patch_size: int = 0
    patch_overlap: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.size
        if self.patch_size < 0:
            raise ValueError(f"patch_size is {self.patch_size}; give a side in pixels, or 0 for whole pictures")
        if not 0 <= self.patch_overlap < 1:
            raise ValueError(f"patch_overlap is {self.patch_overlap}; give a share in [0, 1), e.g. 0.25")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width that the networks see."""
        if not self.image_size:
            return (64, 64) if self.data == "scenes" else (128, 128)
        sides = [side.strip() for side in self.image_size.split(",")]
        if len(sides) > 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
            raise ValueError(f"image_size is '{self.image_size}'; give N or H,W in pixels, e.g. 128 or 96,128")
        return int(sides[0]), int(sides[-1])


@dataclass(frozen=True, kw_only=True)
class PrepareConfig(DataConfig):
    """Checks a data set, shows what it holds, and writes a smaller copy of it.

    Attributes:
        out: Folder for a copy whose pictures are at most twice as large as --image_size; read it with --data folder.
            Default: only check.
    """

    out: Path | None = None


def numbers(flag: str, text: str) -> tuple[float, ...]:
    """Numbers separated by commas; raises ValueError naming the flag."""
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"{flag} is '{text}'; give numbers separated by commas, e.g. 0.5,0.5,0.5") from error


def choices(flag: str, text: str, known: tuple[str, ...]) -> list[str]:
    """Words separated by commas, each once; raises ValueError for one that is not known, or for none."""
    chosen = [item.strip() for item in text.split(",") if item.strip()]
    for item in chosen:
        if item not in known:
            raise ValueError(f"{flag} names '{item}'{nearest(item, known)}; choose from {', '.join(known)}")
    if not chosen:
        raise ValueError(f"{flag} is empty; choose from {', '.join(known)}")
    return list(dict.fromkeys(chosen))
