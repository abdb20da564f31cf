"""The number formats that a file can be exported in."""

from __future__ import annotations

import enum


class Precision(enum.StrEnum):
    """How a file stores its weights and computes. Inputs and outputs stay float32 except in an int8 TFLite file."""

    FP32 = "fp32"  # everything float32
    FP16 = "fp16"  # weights in 16-bit floats; half the bytes, no speed on most CPUs
    DYNAMIC = "dynamic"  # weights in 8-bit integers, activations quantized while running
    INT8 = "int8"  # weights and activations in 8-bit integers, ranges measured on calibration images
