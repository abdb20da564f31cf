"""A sample (image and mask), and a data set: classes and three disjoint splits of samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from torchseg.data.images.reader import RGB, ImageReader


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """A decoded image before normalisation, with its mask.

    Attributes:
        name: name of the image, unique within its data set.
        picture: RGB or other bands, uint8 `(H, W, C)`.
        mask: true classes, uint8 `(H, W)`; the ignored value where the class is unknown.
    """

    name: str
    picture: NDArray[np.uint8]
    mask: NDArray[np.uint8]


class Samples(Protocol):
    """A sequence of samples that may be read lazily; a list of samples is one too."""

    def __len__(self) -> int:
        """Number of samples."""
        ...

    def __getitem__(self, index: int, /) -> Sample:
        """Reads one sample; raises IndexError past the end, and a ValueError that names an unreadable file."""
        ...


Fit = Callable[[int, int], tuple[int, int]]
"""Takes the height and width of an image and returns the height and width that are needed."""


@runtime_checkable
class ReducibleSamples(Samples, Protocol):
    """Samples that can be read faster at a reduced size."""

    def reduced(self, index: int, fit: Fit, /) -> Sample:
        """Reads one sample whose image may be smaller than its mask, but not smaller than `fit` of the mask's shape."""
        ...


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Images and masks in three disjoint splits, and optional images without masks.

    Attributes:
        classes: names, in the order of the mask values.
        train: split for training.
        validation: split for choosing checkpoints and certifying files.
        test: split for the final scores only.
        transfer: images without masks, or with withheld masks; students learn on them from a teacher's predictions.
        upright: whether images have an up and a down; if not, random views are also turned and flipped upside down.
        images: how the image files were read.
        files: all files that the data set consists of, to detect changes; empty for generated data.
        notes: one sentence each for the user: what masks were taken for, and which files were passed over.
        splits_chosen_by: the rule that chose the splits, and its version; empty if the data set itself says them.
    """

    classes: tuple[str, ...]
    train: Samples
    validation: Samples
    test: Samples
    transfer: Samples = ()
    upright: bool = True
    images: ImageReader = RGB
    files: Sequence[Path] = ()
    notes: tuple[str, ...] = ()
    splits_chosen_by: str = ""


class UnmaskedSamples:
    """The same images as if they had no masks: every pixel is ignored."""

    def __init__(self, samples: Samples, *, ignore_index: int) -> None:
        self.samples, self.ignore_index = samples, ignore_index

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        """Reads one sample and hides its mask."""
        sample = self.samples[index]
        return replace(sample, mask=np.full_like(sample.mask, self.ignore_index))
