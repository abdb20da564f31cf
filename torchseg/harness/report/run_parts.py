"""The JSON files of a run that a report shows, each held against the fields that the report reads."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torchseg.plural import counted
from torchseg.record import RecordError, build, read_json, text_of_file

_log = logging.getLogger(__name__)
_REMEDY = "run the command that wrote it again"


@dataclass(frozen=True, kw_only=True)
class AnyFields:
    """A file of which the report relies on no field."""


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """The confusion matrices in `figures/confusion.json`, by file: pixels by true class, then by predicted class."""

    classes: tuple[str, ...] = ()
    counts: Mapping[str, tuple[tuple[int, ...], ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wrong = [name for name, matrix in self.counts.items() if not matrix]
        if wrong:
            raise ValueError(f"counts of {wrong[0][:80]} is empty, expected a row of each class")


@dataclass(frozen=True, kw_only=True)
class _File:
    """A model file of the gallery: its key, what it was made from, its path and its runtime."""

    artifact: str
    reference: str | None = None
    file: str | None = None
    runtime: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Sample:
    """An image of the gallery; `picture`, `truth` and each of `labels` are paths of PNGs in the run folder."""

    name: str
    rank: str
    picture: str
    truth: str
    labels: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class _Gallery:
    """What `figures/gallery.json` says of all images; each image is checked by itself."""

    leader: str = ""
    classes: tuple[str, ...] = ()
    artifacts: tuple[_File, ...] = ()
    samples: tuple[Any, ...] = ()


def read_part(path: Path, kind: type[Any]) -> dict[str, Any]:
    """The contents of a JSON file; empty if it is missing, and, with a warning, if it is damaged.

    Args:
        path: of the file.
        kind: describes the fields that are relied on; there may be others.
    """
    if not path.is_file():
        return {}
    try:
        values = read_json(path, remedy=_REMEDY)
        build(kind, values, path=path, remedy=_REMEDY, others_allowed=True)
    except RecordError as error:
        _log.warning("left out of the report: %s", error)
        return {}
    return values


def text_of(path: Path) -> str:
    """The text of a file; empty if it is missing, and, with a warning, if it cannot be read."""
    if not path.is_file():
        return ""
    try:
        return text_of_file(path, remedy=_REMEDY)
    except RecordError as error:
        _log.warning("left out of the report: %s", error)
        return ""


def read_gallery(folder: Path) -> dict[str, Any]:
    """The index of the gallery, limited to images that it describes completely and whose files are all in the run."""
    path = folder / "figures/gallery.json"
    values = read_part(path, _Gallery)
    samples = values.get("samples", [])
    whole = [each for each in samples if _is_whole(each, path, folder)]
    if len(whole) < len(samples):
        gone = counted(len(samples) - len(whole), "image")
        _log.warning("left out of the report: %s of which files are gone", gone)
    return values | {"samples": whole}


def _is_whole(values: Any, path: Path, folder: Path) -> bool:
    try:
        sample = build(_Sample, values, path=path, remedy=_REMEDY, others_allowed=True)
        files = [sample.picture, sample.truth, *sample.labels.values()]
        return all(is_in(folder, name) for name in files)
    except RecordError:
        return False


def is_in(folder: Path, name: str) -> bool:
    """Whether there is such a file in the run, and nowhere else; false for a name that no file can have."""
    file = folder / name
    return os.path.isfile(file) and file.resolve().is_relative_to(folder.resolve())
