"""Settings that change what masks stand for: names of mask files, ignored values, merged and ignored classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torchseg.data.file_samples import Decode, FileSamples, check_values
from torchseg.data.sample import DataSet, Samples, UnmaskedSamples
from torchseg.spec import IGNORE_INDEX, nearest

_EXAMPLE = "'road,parking -> drivable'"


@dataclass(frozen=True, kw_only=True)
class LabelRules:
    """What the masks of a data set stand for, beyond what its files say.

    Attributes:
        mask_suffix: end of a mask's name behind that of its image; empty finds it from the names.
        ignore_value: value of masks without colours that is ignored as 255 is; None for no further one.
        merge: classes that become one, by the name of that one.
        ignore_classes: names of classes whose pixels are ignored.
    """

    mask_suffix: str = ""
    ignore_value: int | None = None
    merge: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ignore_classes: Sequence[str] = ()

    def apply(self, data: DataSet) -> DataSet:
        """The data set with classes merged and ignored; the same one if there is nothing to do.

        A merged class stands where the first of its classes stood.

        Raises:
            ValueError: for an unknown or repeated class, generated data, or fewer than two classes that remain.
        """
        if not self.merge and not self.ignore_classes:
            return data
        names = self._new_names(data.classes)
        classes = tuple(dict.fromkeys(name for name in names if name is not None))
        if len(classes) < 2:
            raise ValueError(f"{len(classes)} of {len(data.classes)} classes remain; merge or ignore fewer")
        table = np.full(256, IGNORE_INDEX, np.uint8)
        for value, name in enumerate(names):
            if name is not None:
                table[value] = classes.index(name)
        parts: dict[str, Any] = {
            part: _relabelled(getattr(data, part), classes, table) for part in ("train", "validation", "test")
        }
        if len(data.transfer):
            parts["transfer"] = _relabelled(data.transfer, classes, table)
        return replace(data, classes=classes, **parts)

    def _new_names(self, classes: Sequence[str]) -> list[str | None]:
        """The new name of each class, None where it is ignored."""
        target: dict[str, str] = {}
        for new, members in self.merge.items():
            for name in members:
                _check_known(name, classes, "merge")
                if name in target:
                    raise ValueError(f"--merge names the class '{name}' twice; give it to one new class")
                target[name] = new
            if new in classes and new not in members:
                target[new] = new
        names = [target.get(name, name) for name in classes]
        for name in self.ignore_classes:
            _check_known(name, [*classes, *names], "ignore_classes")
        ignored = set(self.ignore_classes)
        return [None if {old, new} & ignored else new for old, new in zip(classes, names, strict=True)]


def parse_rules(*, mask_suffix: str, ignore_value: int | None, merge: str, ignore_classes: str) -> LabelRules:
    """The rules that these flags give.

    Args:
        mask_suffix: as in `LabelRules`.
        ignore_value: as in `LabelRules`.
        merge: `a,b -> c`, several separated by semicolons.
        ignore_classes: names separated by commas.

    Raises:
        ValueError: if a text cannot be read.
    """
    merged: dict[str, list[str]] = {}
    for rule in filter(None, (part.strip() for part in merge.split(";"))):
        members, arrow, new = rule.rpartition("->")
        names = _names(members)
        if not arrow or not names or not new.strip():
            raise ValueError(f"merge is '{rule}'; give classes, an arrow and a new name, e.g. {_EXAMPLE}")
        if new.strip() in merged:
            raise ValueError(f"merge makes '{new.strip()}' twice; give all its classes in one rule, e.g. {_EXAMPLE}")
        merged[new.strip()] = names
    return LabelRules(
        mask_suffix=mask_suffix, ignore_value=ignore_value, merge=merged, ignore_classes=_names(ignore_classes)
    )


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _check_known(name: str, classes: Sequence[str], flag: str) -> None:
    if name not in classes:
        known = ", ".join(dict.fromkeys(classes))
        raise ValueError(f"--{flag} names '{name}'{nearest(name, classes)}; the classes are {known}")


def _relabelled(samples: Samples, classes: tuple[str, ...], table: NDArray[np.uint8]) -> Samples:
    if isinstance(samples, UnmaskedSamples):
        return UnmaskedSamples(_relabelled(samples.samples, classes, table), ignore_index=samples.ignore_index)
    if not isinstance(samples, FileSamples):
        raise ValueError("the generated data set has its own classes; drop --merge and --ignore_classes")
    decode = _Relabel(samples.decode, samples.classes, table)
    read, name, images = samples.read, samples.name, samples.images
    return FileSamples(samples.pairs, classes=classes, decode=decode, read=read, name=name, images=images)


class _Relabel:
    """Decodes a mask as before, and gives its classes their new numbers."""

    def __init__(self, decode: Decode | None, classes: Sequence[str], table: NDArray[np.uint8]) -> None:
        self.decode, self.classes, self.table = decode, tuple(classes), table

    def __call__(self, stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
        mask = self.decode(stored) if self.decode else stored
        check_values(mask, self.classes)
        return self.table[mask]
