"""Opens the pictures of a run, and checks all of them before anything long starts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from torchseg.config import DataConfig
from torchseg.data import DataSet, HeldSamples, PatchPlan, ResizedSamples, Samples, UnlabelledPictures, open_data
from torchseg.pipeline.run_folder import Stage
from torchseg.spec import ImageSpec

REPORT = "data.json"


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """The parts of a data set as a run uses them; reading a picture keeps it in memory while there is room.

    Attributes:
        spec: size, scaling and classes.
        train: labelled pictures at their own size.
        transfer: pictures without masks, at their own size; may be empty.
        validation: at the spec's size.
        test: at the spec's size.
        fingerprint: changes when a file does.
    """

    spec: ImageSpec
    train: Samples
    transfer: Samples
    validation: Samples
    test: Samples
    fingerprint: str


def open_pictures(config: DataConfig, *, transfer_set: Path | None = None) -> Pictures:
    """Opens the configured data set.

    Raises:
        ValueError: if it is missing, damaged or has an empty part.
    """
    height, width = config.size
    patches = PatchPlan(size=config.patch_size, overlap=config.patch_overlap) if config.patch_size else None
    data = open_data(config.data, config.root, size=config.size, download=config.download, patches=patches)
    _check_parts(data, config)
    extra = UnlabelledPictures(transfer_set) if transfer_set else None
    files = [*data.files, *(extra.files if extra else [])]
    return Pictures(
        spec=ImageSpec(height=height, width=width, classes=data.classes),
        train=HeldSamples(data.train),
        transfer=HeldSamples(extra if extra is not None else data.transfer),
        validation=HeldSamples(ResizedSamples(data.validation, height=height, width=width)),
        test=ResizedSamples(data.test, height=height, width=width),
        fingerprint=_fingerprint(config, files),
    )


def check_stage(pictures: Pictures) -> Stage:
    """Reads every picture once, so that a damaged one is named now and not an hour into the training."""
    inputs = {"fingerprint": pictures.fingerprint, "spec": pictures.spec.to_dict(), "version": 2}

    def run(work: Path) -> None:
        parts = {name: getattr(pictures, name) for name in ("train", "transfer", "validation", "test")}
        total = sum(len(part) for part in parts.values())
        with tqdm(total=total, desc="pictures", unit="picture", disable=None, dynamic_ncols=True) as bar:
            summary = {name: _summary(part, pictures.spec, bar) for name, part in parts.items()}
        (work / REPORT).write_text(json.dumps(summary | inputs, indent=2) + "\n")

    return Stage(name="data", inputs=inputs, outputs=[REPORT], run=run)


def _summary(samples: Samples, spec: ImageSpec, bar: tqdm[Any]) -> dict[str, Any]:
    """Number of pictures, and the share of each class in all valid pixels and in those of the pictures that hold it."""
    pixels, beside = np.zeros((2, spec.num_classes), np.int64)
    for index in range(len(samples)):
        counts = np.bincount(samples[index].mask.ravel(), minlength=256)[: spec.num_classes]
        pixels += counts
        beside += (counts > 0) * counts.sum()
        bar.update()
    shares = (pixels / max(1, pixels.sum())).round(5).tolist()
    frequencies = (pixels / beside.clip(1)).round(9).tolist()
    return {
        "pictures": len(samples),
        "class_shares": dict(zip(spec.classes, shares, strict=True)),
        "class_frequencies": dict(zip(spec.classes, frequencies, strict=True)),
    }


def _check_parts(data: DataSet, config: DataConfig) -> None:
    for name in ("train", "validation", "test"):
        if not len(getattr(data, name)):
            raise ValueError(f"the {name} part of data set '{config.data}' is empty; add pictures")


def _fingerprint(config: DataConfig, files: list[Path]) -> str:
    """Of names, sizes and times of change: noticing a new picture must not cost reading all of them."""
    from torchseg import __version__

    lines = [config.data, str(config.size), __version__ if not files else ""]
    lines += [f"{config.patch_size} {config.patch_overlap}"] if config.patch_size else []
    for file in files:
        stat = file.stat()
        lines.append(f"{file.name} {stat.st_size} {stat.st_mtime_ns}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
