"""The precisions in which a file can be exported."""

from __future__ import annotations

import enum
from pathlib import Path


class Precision(enum.StrEnum):
    """How a file stores its weights and computes. Inputs and outputs are float32, except in an int8 TFLite file."""

    FP32 = "fp32"  # everything in float32
    FP16 = "fp16"  # weights in float16; half the bytes, not faster on most CPUs
    DYNAMIC = "dynamic"  # weights in int8, activations quantized at run time
    INT8 = "int8"  # weights and activations in 8 bits, ranges from calibration images


def precision_in_name(path: Path) -> Precision | None:
    """The precision in the name of an exported file, `STAGE.PRECISION.FORMAT` or with words before the format.

    None if the name has no precision in this place: somebody renamed the file, or another tool made it.
    """
    _, *parts = path.name.split(".")
    return Precision(parts[0]) if parts and parts[0] in tuple(Precision) else None
