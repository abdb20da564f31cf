"""What a file says about itself, so that it can be used without the run folder it came from."""

from __future__ import annotations

import json

from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

METADATA_VERSION = "1"
METADATA_PREFIX = "torchseg."
SCALE = "(picture / 255 - mean) / std"


def metadata(spec: ImageSpec, *, layout: str, precision: Precision) -> dict[str, str]:
    """Text entries for a model file: version, layout, colour order, scaling and class names.

    Args:
        spec: the pictures that the network was made for.
        layout: of the file's input, `NCHW` or `NHWC`.
        precision: of the file.

    Returns:
        Entry name to value; lists are JSON. An image is prepared as `(picture / 255 - mean) / std`.
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
