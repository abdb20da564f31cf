"""Chooses the training images that calibrate int8 files."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from torchseg.data import Sample, Samples, resize
from torchseg.pipeline.run.dataset import Pictures
from torchseg.spec import ImageSpec

CALIBRATED_WITH = 48  # training images, at most

Images = NDArray[np.float32]


def calibration_samples(train: Samples, spec: ImageSpec) -> list[Sample]:
    """Training images for calibration, resized to the spec's size.

    First every image that shows a class not seen before, then the first of the others. At most 48 in all, unless
    classes are still missing after 48.
    """
    bringing: list[Sample] = []
    others: list[Sample] = []
    missing = set(range(spec.num_classes))
    for index in range(len(train)):
        full = len(bringing) + len(others) >= CALIBRATED_WITH
        if full and not missing:
            break
        sample = resize(train[index], height=spec.height, width=spec.width)
        if brings := missing & set(np.unique(sample.mask).tolist()):
            missing -= brings
            bringing.append(sample)
        elif not full:
            others.append(sample)
    return bringing + others


def calibration_images(pictures: Pictures) -> Images:
    """The images of `calibration_samples`, normalised for the network: float32 `(B, C, H, W)`."""
    chosen = calibration_samples(pictures.train, pictures.spec)
    return pictures.spec.prepare(np.stack([each.picture for each in chosen]))
