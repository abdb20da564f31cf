"""Resizes and normalises decoded pictures to what each model file expects."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from torchseg.spec import ImageSpec


def prepare(pictures: NDArray[np.uint8], spec: ImageSpec) -> NDArray[np.float32]:
    """Normalised images `(B, C, spec.height, spec.width)` from uint8 pictures `(B, H, W, C)`, resized bilinearly."""
    if pictures.shape[1:3] != (spec.height, spec.width):
        size = (spec.width, spec.height)
        resized = [Image.fromarray(each).resize(size, Image.Resampling.BILINEAR) for each in pictures]
        pictures = np.stack([np.asarray(each) for each in resized])
    return spec.prepare(pictures)


def prepare_each(pictures: NDArray[np.uint8], specs: Iterable[ImageSpec]) -> dict[ImageSpec, NDArray[np.float32]]:
    """Prepares pictures `(B, H, W, C)` once per distinct spec; normalised images `(B, C, H, W)` by spec."""
    return {spec: prepare(pictures, spec) for spec in set(specs)}
