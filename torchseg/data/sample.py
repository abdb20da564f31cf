"""One picture with its true classes, and a data set of them: classes and three disjoint parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """A picture before normalisation, with its mask.

    Attributes:
        name: of the picture, unique within its data set.
        picture: uint8 RGB, `(H, W, C)`.
        mask: uint8 classes, `(H, W)`; the ignored value where nothing is known.
    """

    name: str
    picture: NDArray[np.uint8]
    mask: NDArray[np.uint8]


class Samples(Protocol):
    """Samples that are read when they are asked for; a list of them will do."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def __getitem__(self, index: int, /) -> Sample:
        """Reads one; raises IndexError past the end, and ValueError naming the file if it cannot be read."""
        ...


Fit = Callable[[int, int], tuple[int, int]]
"""Takes height and width of a picture, gives those at which it is wanted."""


@runtime_checkable
class ReducibleSamples(Samples, Protocol):
    """Samples that are read more quickly where fewer pixels will do."""

    def reduced(self, index: int, fit: Fit, /) -> Sample:
        """Reads one whose picture may be smaller than its mask, but no smaller than `fit` of the mask's shape."""
        ...


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Pictures and masks in three disjoint parts, and what a good default for them is.

    Attributes:
        classes: names, in the order of the mask values.
        train: what networks learn from.
        validation: what checkpoints are chosen and files certified with.
        test: what the final scores come from, and nothing else.
        transfer: pictures whose masks nobody may look at; only a teacher's answer counts on them.
        files: everything that was read from disk, so that a changed picture is noticed; empty for generated data.
    """

    classes: tuple[str, ...]
    train: Samples
    validation: Samples
    test: Samples
    transfer: Samples = ()
    files: Sequence[Path] = ()
