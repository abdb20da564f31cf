"""Checks the calibration images that int8 quantization measures value ranges on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec


def check_calibration(
    images: NDArray[np.float32] | None, spec: ImageSpec, *, precision: Precision
) -> NDArray[np.float32] | None:
    """Checks that the images can calibrate a file of this precision.

    Args:
        images: prepared as for evaluation, float32 `(B, C, H, W)`; only int8 needs them.
        spec: gives the size and the channels that the images must have.
        precision: of the file to be written.

    Returns:
        The images for int8, None for every other precision.

    Raises:
        ValueError: for int8 without images, or with images of a wrong shape or dtype, or non-finite values.
    """
    if precision is not Precision.INT8:
        return None
    expected = (spec.channels, spec.height, spec.width)
    if images is None or len(images) == 0:
        raise ValueError(
            "int8 needs calibration images and got none; pass some dozens of training images, prepared as for "
            f"evaluation: float32 (B, C, H, W) with C, H, W = {expected}"
        )
    if images.ndim != 4 or images.shape[1:] != expected or images.dtype != np.float32:
        raise ValueError(
            f"calibration images are {images.dtype} {images.shape}; give float32 (B, C, H, W) with C, H, W = {expected}"
        )
    if not np.isfinite(images).all():
        raise ValueError("calibration images hold values that are not finite; prepare them again from their images")
    return images


def not_finite(layer: str, operation: str) -> str:
    """What to tell of a layer whose values the calibration images show to be infinite or no numbers."""
    return (
        f"layer '{layer}' ({operation}) gives values that are not finite on the calibration images; "
        "check its weights and that the images are prepared as in training"
    )
