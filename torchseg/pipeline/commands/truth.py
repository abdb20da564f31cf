"""Reads a user's pictures, with their true masks where there are any."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from torchseg.data import Sample, open_data
from torchseg.data.file_samples import FileSamples
from torchseg.data.picture_file import read_picture
from torchseg.pipeline.run.recorded_config import recorded_config, run_of
from torchseg.spec import ImageSpec

Read = Callable[[Path], Sample]


def without_truth(file: Path) -> Sample:
    """The picture, with a mask that is ignored everywhere."""
    picture = read_picture(file)
    return Sample(name=file.stem, picture=picture, mask=np.full(picture.shape[:2], 255, np.uint8))


def reader_with_truth(files: Sequence[Path], truth: Path, model: Path, spec: ImageSpec) -> Read:
    """Reads a picture together with its true mask.

    Args:
        files: the pictures that will be asked for.
        truth: the mask of a single picture, or a folder with a PNG of each picture's name.
        model: whose run's data set says how masks are stored; elsewhere pixel values are classes.
        spec: the classes.

    Raises:
        ValueError: if a mask is missing; the reader raises it for one that does not fit its picture or the classes.
    """
    masks = {file: truth / f"{file.stem}.png" if truth.is_dir() else truth for file in files}
    if not truth.is_dir() and len(files) > 1:
        raise ValueError(f"--truth {truth} is one mask for {len(files)} pictures; give the folder of their masks")
    for file, mask in masks.items():
        if not mask.is_file():
            raise ValueError(f"picture {file} has no mask: expected {mask}; add it, or leave --truth out")
    stored = _samples_of(model)

    def read(file: Path) -> Sample:
        pairs = [(file, masks[file])]
        if stored is None:
            return FileSamples(pairs, classes=spec.classes)[0]
        return FileSamples(pairs, classes=spec.classes, decode=stored.decode, read=stored.read)[0]

    return read


def _samples_of(model: Path) -> FileSamples | None:
    """Samples of the model's run, which know how their masks are stored; None if there is no such run or data."""
    try:
        config = recorded_config(run_of(model))
        data = open_data(config.data, config.root, size=config.size)
    except (ValueError, OSError):
        return None
    return data.test if isinstance(data.test, FileSamples) else None
