"""Metadata of a model file, so that it can be used without its run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping

from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

METADATA_VERSION = "1"
METADATA_PREFIX = "torchseg."
CLASSES = f"{METADATA_PREFIX}classes"  # the entry with the class names, a JSON list
SCALE = "(picture / 255 - mean) / std"


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


def recorded_spec(texts: Mapping[str, str], *, height: int, width: int, channels: int) -> ImageSpec | None:
    """The image spec that `metadata` wrote, but for the ignored value; None if another tool made the file.

    Args:
        texts: metadata entries of the file.
        height: of its images, in pixels.
        width: of its images, in pixels.
        channels: of its images.
    """
    known = {key.removeprefix(METADATA_PREFIX): text for key, text in texts.items()}
    try:
        return ImageSpec(
            height=height,
            width=width,
            classes=tuple(json.loads(known["classes"])),
            channels=channels,
            mean=tuple(json.loads(known["mean"])),
            std=tuple(json.loads(known["std"])),
            value_range=tuple(json.loads(known["value_range"])) if "value_range" in known else None,
        )
    except (KeyError, TypeError, json.JSONDecodeError):
        return None


def count_classes(texts: Mapping[str, str]) -> int | None:
    """Number of classes that the metadata entries name; None if they name none."""
    names = texts.get(CLASSES)
    return len(json.loads(names)) if names else None
