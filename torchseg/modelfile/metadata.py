"""Metadata of a model file, so that it can be used without its run folder."""

from __future__ import annotations

import json

from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

METADATA_VERSION = "1"
METADATA_PREFIX = "torchseg."
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
    return {f"{METADATA_PREFIX}{name}": value for name, value in entries.items()}
