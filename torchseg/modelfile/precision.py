"""The precisions in which a file can be exported."""

from __future__ import annotations

import enum


class Precision(enum.StrEnum):
    """How a file stores its weights and computes. Inputs and outputs are float32, except in an int8 TFLite file."""

    FP32 = "fp32"  # everything in float32
    FP16 = "fp16"  # weights in float16; half the bytes, not faster on most CPUs
    DYNAMIC = "dynamic"  # weights in int8, activations quantized at run time
    INT8 = "int8"  # weights and activations in 8 bits, ranges from calibration images
