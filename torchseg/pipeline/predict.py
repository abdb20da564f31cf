"""Masks for a user's own pictures, from any model file of a run."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from torchseg.checkpoint import read_card
from torchseg.command import DONE
from torchseg.config import PredictConfig
from torchseg.data import Sample, resize
from torchseg.data.picture_file import find_pictures, read_picture
from torchseg.harness.palette import palette
from torchseg.harness.runtime import open_runtime
from torchseg.pipeline.recorded import run_of
from torchseg.spec import ImageSpec

_LOG = logging.getLogger(__name__)


def predict(config: PredictConfig) -> int:
    """Writes, for every picture, an indexed mask of the picture's own size into `--out`.

    Raises:
        ValueError: if the model or a picture cannot be read.
    """
    files = [file for given in config.images for file in (find_pictures(given) if given.is_dir() else [given])]
    spec = spec_of(config.model)
    runtime = open_runtime(config.model, threads=config.cores)
    config.out.mkdir(parents=True, exist_ok=True)
    for file in tqdm(files, desc="pictures", unit="picture", disable=None, dynamic_ncols=True):
        picture = read_picture(file)
        height, width = picture.shape[:2]
        sample = Sample(name=file.stem, picture=picture, mask=np.zeros((height, width), np.uint8))
        small = resize(sample, height=spec.height, width=spec.width)
        labels = runtime.predict(spec.prepare(small.picture[None]))[0].argmax(axis=0).astype(np.uint8)  # (H, W)
        mask = Image.fromarray(labels).resize((width, height), Image.Resampling.NEAREST)
        mask.putpalette(palette().ravel().tolist())
        mask.save(config.out / f"{file.stem}.png")
    print(
        f"{len(files)} masks in {config.out}; values are " + ", ".join(f"{i} {n}" for i, n in enumerate(spec.classes))
    )
    return DONE


def spec_of(model: Path) -> ImageSpec:
    """What pictures a model file takes: from its own card, or from the checkpoint that it was exported from.

    Raises:
        ValueError: if no card is found.
    """
    if model.suffix in (".onnx", ".tflite"):
        return read_card(run_of(model) / model.name.split(".")[0]).spec
    return read_card(model if model.is_dir() else model.parent).spec
