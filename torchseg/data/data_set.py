"""A data set: classes and three disjoint parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torchseg.data.sample import Samples


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
