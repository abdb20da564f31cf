"""Metadata of a model file, so that it can be used without its run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torchseg.modelfile.precision import Precision
from torchseg.record import build, plain_json
from torchseg.record.text import damaged, shortened
from torchseg.spec import ImageSpec

METADATA_VERSION = "1"
METADATA_PREFIX = "torchseg."
CLASSES = f"{METADATA_PREFIX}classes"  # the entry with the class names, a JSON list
SCALE = "(picture / 255 - mean) / std"
_RECORDED = ("classes", "mean", "std", "value_range")
_REMEDY = "export it again"


def metadata(spec: ImageSpec, *, layout: str, precision: Precision) -> dict[str, str]:
    """Metadata entries for a model file: version, precision, layout, colour order, normalisation and class names.

    Args:
        spec: image specification of the network.
        layout: layout of the file's input, `NCHW` or `NHWC`.
        precision: precision of the file.

    Returns:
        Values by entry name; lists are JSON. Images are normalised as `(picture / 255 - mean) / std`.
    """
    entries = {
        "version": METADATA_VERSION,
        "precision": str(precision),
        "layout": layout,
        "colour_order": "RGB" if spec.channels == 3 else "as trained",
        "scale": SCALE,
        "mean": json.dumps(list(spec.mean)),
        "std": json.dumps(list(spec.std)),
        "classes": json.dumps(list(spec.classes)),
        "ignore_index": str(spec.ignore_index),
    }
    if spec.value_range is not None:
        entries["value_range"] = json.dumps(list(spec.value_range))
    return {f"{METADATA_PREFIX}{name}": value for name, value in entries.items()}


@dataclass(frozen=True, kw_only=True)
class _Recorded:
    """The entries of a file's metadata from which its image spec is made."""

    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    value_range: tuple[float, float] | None = None


def recorded_spec(texts: Mapping[str, str], *, size: tuple[int, int], channels: int, path: Path) -> ImageSpec | None:
    """The image spec that `metadata` wrote, but for the ignored value; None if another tool made the file.

    Args:
        texts: metadata entries of the file.
        size: height and width of its images, in pixels.
        channels: of its images.
        path: of the file, for messages.

    Raises:
        ValueError: if an entry is damaged.
    """
    known = {key.removeprefix(METADATA_PREFIX): text for key, text in texts.items() if key.startswith(METADATA_PREFIX)}
    if not {"classes", "mean", "std"} <= known.keys():
        return None
    values = {name: _value(name, known[name], path) for name in _RECORDED if name in known}
    recorded = build(_Recorded, values, path=path, remedy=_REMEDY)
    try:
        return ImageSpec(height=size[0], width=size[1], channels=channels, **vars(recorded))
    except ValueError as error:
        raise damaged(path, f"in its metadata, {error}", _REMEDY) from error


def count_classes(texts: Mapping[str, str], *, path: Path) -> int | None:
    """Number of classes that the metadata entries name; None if they name none. Raises ValueError for a damaged one."""
    text = texts.get(CLASSES)
    if not text:
        return None
    names = _value("classes", text, path)
    if not isinstance(names, list):
        raise damaged(path, f"classes in its metadata is {shortened(names)}, expected a list", _REMEDY)
    return len(names)


def _value(name: str, text: str, path: Path) -> Any:
    try:
        return plain_json(text)
    except ValueError as error:
        raise damaged(path, f"{name} in its metadata is {shortened(text)} ({error})", _REMEDY) from error
