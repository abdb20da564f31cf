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
        pictures = np.stack([_resized(each, size) for each in pictures])
    return spec.prepare(pictures)


def prepare_each(pictures: NDArray[np.uint8], specs: Iterable[ImageSpec]) -> dict[ImageSpec, NDArray[np.float32]]:
    """Prepares pictures `(B, H, W, C)` once per distinct spec; normalised images `(B, C, H, W)` by spec."""
    return {spec: prepare(pictures, spec) for spec in set(specs)}


def _resized(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if picture.shape[2] == 3:
        return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))
    bands = [Image.fromarray(picture[..., at]) for at in range(picture.shape[2])]
    return np.stack([np.asarray(each.resize(size, Image.Resampling.BILINEAR)) for each in bands], axis=2)
