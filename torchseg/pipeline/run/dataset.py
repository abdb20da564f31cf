"""Opens the pictures of a run, and checks all of them before anything long starts."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from torchseg.checkpoint import read_card
from torchseg.config import DataConfig, DistillConfig, LearningConfig
from torchseg.data import (
    FEW_SAMPLES,
    BoundedSamples,
    CachedSamples,
    CacheWriter,
    DataSet,
    HeldSamples,
    PatchPlan,
    ResizedSamples,
    Samples,
    UnlabelledPictures,
    lone_class,
    open_data,
    read_in_order,
)
from torchseg.models import Scaling, parse_arguments, pretrained_scaling
from torchseg.pipeline.run.folder import Stage
from torchseg.spec import ImageSpec

REPORT = "data.json"
CACHE = "cache"
_CACHE_LIMIT_BYTES = 16 * 2**30
_PARTS = ("train", "transfer", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """The parts of a data set as a run uses them; reading a picture keeps it in memory while there is room.

    Attributes:
        spec: size, scaling and classes.
        train: labelled pictures in their own shape, at most as large as views of the spec's size need.
        transfer: pictures without masks, likewise; may be empty.
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

    def scaled(self, scaling: Scaling | None) -> Pictures:
        """The same pictures as a network takes them that learned with this mean and deviation; None: as they are."""
        if scaling is None:
            return self
        mean, std = scaling
        return replace(self, spec=replace(self.spec, mean=mean, std=std))


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
    transfer = extra if extra is not None else data.transfer
    files = [*data.files, *(extra.files if extra else [])]
    return Pictures(
        spec=ImageSpec(height=height, width=width, classes=data.classes),
        train=HeldSamples(BoundedSamples(data.train, height=height, width=width)),
        transfer=HeldSamples(BoundedSamples(transfer, height=height, width=width)),
        validation=HeldSamples(ResizedSamples(data.validation, height=height, width=width)),
        test=ResizedSamples(data.test, height=height, width=width),
        fingerprint=_fingerprint(config, files),
    )


def check_stage(pictures: Pictures, config: LearningConfig, *, writes: bool = True) -> Stage:
    """Reads every picture once, so that a damaged one is named now and not an hour into the training.

    What it read is kept in the run folder, decoded and resized, for `cached_pictures`.

    Args:
        pictures: of the run.
        config: says how many processes read, and how much disk the cache may take.
        writes: whether this process does it; the others of the run wait.
    """
    inputs = {"fingerprint": pictures.fingerprint, "spec": pictures.spec.to_dict(), "version": 4}

    def run(work: Path) -> None:
        if not writes:
            return
        total = sum(len(getattr(pictures, name)) for name in _PARTS)
        room = _cache_limit_bytes(config, work)
        summary = {}
        with tqdm(total=total, desc="pictures", unit="picture", disable=None, dynamic_ncols=True) as bar:
            for name in _PARTS:
                cache = CacheWriter(work / CACHE / name, limit_bytes=room)
                summary[name] = _summary(getattr(pictures, name), pictures.spec, cache, bar, cores=config.cores)
                cache.close()
                room = cache.room
        if lone := lone_class(summary["train"]["class_pixels"]):
            raise ValueError(lone)
        (work / REPORT).write_text(json.dumps(summary | inputs, indent=2) + "\n", encoding="utf-8")

    return Stage(name="data", inputs=inputs, outputs=[REPORT, CACHE], run=run)


def cached_pictures(pictures: Pictures, run: Path) -> Pictures:
    """The same pictures out of the cache that `check_stage` left in the run folder."""
    parts: dict[str, Any] = {name: CachedSamples(run / CACHE / name, getattr(pictures, name)) for name in _PARTS}
    return replace(pictures, **parts)


def _cache_limit_bytes(config: LearningConfig, folder: Path) -> int:
    if config.cache_gb == "auto":
        return min(_CACHE_LIMIT_BYTES, shutil.disk_usage(folder).free // 2)
    return int(config.cache_gb * 1e9)


def _summary(samples: Samples, spec: ImageSpec, cache: CacheWriter, bar: tqdm[Any], *, cores: int) -> dict[str, Any]:
    """Number of pictures; pixels of each class, their share in all valid ones and in those of pictures that hold it."""
    pixels, beside = np.zeros((2, spec.num_classes), np.int64)
    processes = cores if len(samples) >= FEW_SAMPLES else 1
    for sample in read_in_order(samples, processes=processes):
        cache.add(sample)
        counts = np.bincount(sample.mask.ravel(), minlength=256)[: spec.num_classes]
        pixels += counts
        beside += (counts > 0) * counts.sum()
        bar.update()
    shares = (pixels / max(1, pixels.sum())).round(5).tolist()
    frequencies = (pixels / beside.clip(1)).round(9).tolist()
    return {
        "pictures": len(samples),
        "class_pixels": dict(zip(spec.classes, pixels.tolist(), strict=True)),
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


def distill_pictures(config: DistillConfig) -> Pictures:
    """Opens the configured data set and transfer set.

    Raises:
        ValueError: if pictures are missing or damaged, or teacher and student learned them scaled in different ways.
    """
    return open_pictures(config, transfer_set=config.transfer_set).scaled(_scaling(config))


def _scaling(config: DistillConfig) -> Scaling | None:
    """What the pictures are for both networks: as the pretrained one or the given teacher learned them, if either did.

    Raises:
        ValueError: if they learned them in different ways.
    """
    student = pretrained_scaling(config.student, parse_arguments(config.student_arguments))
    if config.teacher_checkpoint:
        spec = read_card(config.teacher_checkpoint).spec
        teacher: Scaling | None = (spec.mean, spec.std)
    else:
        teacher = pretrained_scaling(config.teacher or "", parse_arguments(config.teacher_arguments))
    if teacher and student and teacher != student:
        raise ValueError(
            f"teacher {config.teacher_checkpoint} scales pictures in another way than the pretrained student "
            f"{config.student}; give a student without encoder_weights, or train the teacher again"
        )
    return teacher or student
