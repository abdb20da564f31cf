"""Opens the images of a run, and checks all of them before any training starts."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from torchseg.atomic_file import save_text
from torchseg.config import DataConfig, DistillConfig, LearningConfig
from torchseg.console import STDOUT
from torchseg.data import (
    FEW_SAMPLES,
    BoundedSamples,
    CachedSamples,
    CacheWriter,
    DataSet,
    HeldSamples,
    PatchPlan,
    ResizedSamples,
    Sample,
    Samples,
    UnlabelledPictures,
    cache_files,
    grouped,
    image_files,
    lone_class,
    open_data,
    parse_rules,
    read_in_order,
    shared_images,
)
from torchseg.data.images.reader import RGB, ImageReader
from torchseg.models import Scaling
from torchseg.pipeline.run.folder import Stage
from torchseg.pipeline.run.normalisation import distill_scaling, scaling_for
from torchseg.progress_bar import Progress
from torchseg.record import build, read_json
from torchseg.spec import ImageSpec

REPORT = "data.json"
CACHE = "cache"
_CACHE_LIMIT_BYTES = 16 * 2**30
SPLITS = ("train", "transfer", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class SplitReport:
    """What `data.json` says of one split, as far as a command reads it back."""

    names: tuple[str, ...] = ()
    class_pixels: Mapping[str, int] = field(default_factory=dict)
    class_frequencies: Mapping[str, float] = field(default_factory=dict)
    sha256: str = ""  # empty in reports of earlier versions, which hashed no images


@dataclass(frozen=True, kw_only=True)
class DataReport:
    """What `data.json` says of the splits of a run."""

    train: SplitReport
    transfer: SplitReport
    validation: SplitReport
    test: SplitReport


def read_report(run: Path, *, remedy: str) -> DataReport:
    """The `data.json` of a run; raises ValueError if it is missing or damaged."""
    path = run / REPORT
    return build(DataReport, read_json(path, remedy=remedy), path=path, remedy=remedy, others_allowed=True)


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """The splits of a data set as a run uses them; images that were read stay in memory while there is room.

    Attributes:
        spec: size, normalisation and classes.
        train: labelled images at their own aspect ratio, downscaled to the most that random views of the spec's size
            need.
        transfer: images without masks, downscaled like `train`; may be empty.
        validation: labelled images at the spec's size.
        test: labelled images at the spec's size.
        upright: whether images have an up and a down (see `RandomView`).
        fingerprint: a hash that changes when a file of the data set does, or its time; from `cached_pictures`, when
            its pixels do.
        files: image files by split; none for generated images.
        images: how these files are read.
        train_resized: the images of `train` at the spec's size, to be scored.
    """

    spec: ImageSpec
    train: Samples
    transfer: Samples
    validation: Samples
    test: Samples
    upright: bool
    fingerprint: str
    files: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    images: ImageReader = RGB
    train_resized: Samples = ()

    def scaled(self, scaling: Scaling | None) -> Pictures:
        """The same images, normalised with this mean and standard deviation; unchanged for None.

        Raises:
            ValueError: if it is of another number of channels, see `scaling_for`.
        """
        if scaling is None:
            return self
        mean, std = scaling_for(scaling, self.spec.channels)
        return replace(self, spec=replace(self.spec, mean=mean, std=std))


def open_configured(config: DataConfig, *, whole: bool = False) -> DataSet:
    """Opens the configured data set as it is stored; `whole` leaves its images uncut; raises like `open_data`."""
    is_cut = config.patch_size and not whole
    return open_data(
        config.data,
        config.root,
        size=config.size,
        download=config.download,
        patches=PatchPlan(size=config.patch_size, overlap=config.patch_overlap) if is_cut else None,
        rules=parse_rules(
            mask_suffix=config.mask_suffix,
            ignore_value=config.ignore_value,
            merge=config.merge,
            ignore_classes=config.ignore_classes,
        ),
        group=config.group,
        split=config.split,
        fold=config.fold,
        images=image_reader(config),
    )


def image_reader(config: DataConfig) -> ImageReader:
    """How the flags say that image files are read; they may leave channels and range to the files."""
    return ImageReader(channels=config.channels, value_range=config.values, exif=config.exif)


def open_pictures(config: DataConfig, *, transfer_set: Path | None = None) -> Pictures:
    """Opens the configured data set.

    Raises:
        ValueError: if it is missing, damaged or has an empty split.
    """
    height, width = config.size
    data = open_configured(config)
    for note in data.notes:
        STDOUT.info(f"  note     {note}")
    _check_splits(data, config)
    extra = UnlabelledPictures(transfer_set, images=data.images) if transfer_set else None
    transfer = extra if extra is not None else data.transfer
    files = [*data.files, *(extra.files if extra else [])]
    return Pictures(
        spec=ImageSpec(
            height=height,
            width=width,
            classes=data.classes,
            channels=data.images.channels,
            value_range=data.images.value_range,
        ),
        train=HeldSamples(BoundedSamples(data.train, height=height, width=width)),
        transfer=HeldSamples(BoundedSamples(transfer, height=height, width=width)),
        validation=HeldSamples(ResizedSamples(data.validation, height=height, width=width)),
        test=ResizedSamples(data.test, height=height, width=width),
        upright=data.upright,
        fingerprint=_fingerprint(config, files, data),
        images=data.images,
        train_resized=ResizedSamples(data.train, height=height, width=width),
        files={part: image_files(transfer if part == "transfer" else getattr(data, part)) for part in SPLITS},
    )


def check_stage(pictures: Pictures, config: LearningConfig, *, writes: bool = True) -> Stage:
    """The stage that reads every image once, so that a damaged one is reported now and not an hour into the training.

    The decoded and resized images are cached in the run folder for `cached_pictures`.

    Args:
        pictures: of the run.
        config: sets the number of reading processes and the size of the disk cache.
        writes: whether this process reads and writes; the other processes of the run wait.
    """
    inputs = {"fingerprint": pictures.fingerprint, "spec": pictures.spec.to_dict(), "version": 5}

    def run(work: Path) -> None:
        if not writes:
            return
        total = sum(len(getattr(pictures, name)) for name in SPLITS)
        room = _cache_limit_bytes(config, work)
        summary = {}
        with Progress(total, "reading", unit="image", says_end=False) as bar:
            for name in SPLITS:
                cache = CacheWriter(work / CACHE / name, limit_bytes=room)
                summary[name] = _summary(getattr(pictures, name), pictures.spec, cache, bar, cores=config.cores)
                cache.close()
                room = cache.room
        for name in ("train", "validation", "test"):
            if not any(summary[name]["class_pixels"].values()):
                raise ValueError(
                    f"every pixel of the {name} split is ignored, so nothing can be learnt or measured on it; correct "
                    f"its masks: values from 0 to {pictures.spec.num_classes - 1} name a class"
                )
        if lone := lone_class(summary["train"]["class_pixels"]):
            raise ValueError(lone)
        check_disjoint(pictures)
        save_text(work / REPORT, json.dumps(summary | inputs, indent=2) + "\n")

    return Stage(name="data", inputs=inputs, outputs=[REPORT, *_cache_files()], run=run)


def check_disjoint(pictures: Pictures) -> None:
    """Raises ValueError if an image is in two splits; see `shared_images` for what it finds."""
    if shared := shared_images(pictures.files, images=pictures.images):
        raise ValueError("; ".join(grouped(shared)))


def cached_pictures(pictures: Pictures, run: Path) -> Pictures:
    """The same images, read from the cache that `check_stage` left in the run folder.

    From here on the fingerprint is that of their pixels: what was trained on them stays valid where files are copied,
    unpacked again or touched.
    """
    parts: dict[str, Any] = {name: CachedSamples(run / CACHE / name, getattr(pictures, name)) for name in SPLITS}
    report = read_report(run, remedy="run the same command again")
    hashes = [getattr(report, name).sha256 for name in SPLITS]
    return replace(pictures, fingerprint=hashlib.sha256("\n".join(hashes).encode()).hexdigest(), **parts)


def _cache_files() -> list[str]:
    return [f"{CACHE}/{file}" for name in SPLITS for file in cache_files(name)]


def _cache_limit_bytes(config: LearningConfig, folder: Path) -> int:
    if config.cache_gb == "auto":
        return min(_CACHE_LIMIT_BYTES, shutil.disk_usage(folder).free // 2)
    return int(config.cache_gb * 1e9)


def _summary(samples: Samples, spec: ImageSpec, cache: CacheWriter, bar: Progress, *, cores: int) -> dict[str, Any]:
    """Counts images and the pixels of each class.

    Returns:
        The number of images, their names and, by class, the pixels, their share of all valid pixels, and their
        frequency: the share of the valid pixels of those images that show the class. Also the hash of all images and
        masks, see `add_to_hash`.
    """
    pixels, beside = np.zeros((2, spec.num_classes), np.int64)
    names, digest = [], hashlib.sha256()
    processes = cores if len(samples) >= FEW_SAMPLES else 1
    for sample in read_in_order(samples, processes=processes):
        cache.add(sample)
        add_to_hash(digest, sample)
        names.append(sample.name)
        counts = np.bincount(sample.mask.ravel(), minlength=256)[: spec.num_classes]
        pixels += counts
        beside += (counts > 0) * counts.sum()
        bar.advance()
    shares = (pixels / max(1, pixels.sum())).round(5).tolist()
    frequencies = (pixels / beside.clip(1)).round(9).tolist()
    return {
        "pictures": len(samples),
        "class_pixels": dict(zip(spec.classes, pixels.tolist(), strict=True)),
        "class_shares": dict(zip(spec.classes, shares, strict=True)),
        "class_frequencies": dict(zip(spec.classes, frequencies, strict=True)),
        "names": names,
        "sha256": digest.hexdigest(),
    }


def add_to_hash(digest: hashlib._Hash, sample: Sample) -> None:
    """Adds an image and its mask as they were read: name, shape and pixels."""
    for array in (sample.picture, sample.mask):
        digest.update(f"{sample.name}\n{array.shape}\n{array.dtype}\n".encode())
        digest.update(np.ascontiguousarray(array).data)


def _check_splits(data: DataSet, config: DataConfig) -> None:
    for name in ("train", "validation", "test"):
        if not len(getattr(data, name)):
            raise ValueError(f"the {name} split of data set '{config.data}' is empty; add images")


def _fingerprint(config: DataConfig, files: list[Path], data: DataSet) -> str:
    """Hashes names, sizes and modification times, because reading every file to notice a new one would be too slow."""
    from torchseg import __version__

    lines = [config.data, str(config.size), __version__ if not files else ""]
    lines += [f"{config.patch_size} {config.patch_overlap}"] if config.patch_size else []
    rules = [config.mask_suffix, config.ignore_value, config.ignore_classes, config.merge]
    lines += [repr(rules)] if rules != ["", None, "", ""] else []
    lines += [data.splits_chosen_by] if data.splits_chosen_by else []
    lines += [repr(data.images)] if data.images != RGB else []
    for file in files:
        stat = file.stat()
        lines.append(f"{file.name} {stat.st_size} {stat.st_mtime_ns}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def distill_pictures(config: DistillConfig) -> Pictures:
    """Opens the configured data set and transfer set.

    Raises:
        ValueError: if images are missing or damaged, or teacher and student were trained with different normalisations.
    """
    return open_pictures(config, transfer_set=config.transfer_set).scaled(distill_scaling(config))
