"""The predict command: masks for a user's own images, with optional scores and a comparison of several models."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from torchseg.atomic_file import partial_file
from torchseg.checks import check_no_device
from torchseg.cli.command import DONE
from torchseg.config import PredictConfig
from torchseg.config.child_limits import within_limits
from torchseg.data import Sample
from torchseg.data.file_samples import FileSamples
from torchseg.data.images.io import find_pictures
from torchseg.data.images.reader import ImageReader
from torchseg.harness.csv_table import write_rows
from torchseg.harness.drawing import WRONG, comparison, indexed, marked, overlay
from torchseg.harness.format import percent, short_name
from torchseg.harness.runtimes.process import RuntimeProcess
from torchseg.harness.sliding_window import Segment, by_resizing, by_tiles
from torchseg.metrics import Counts, confusion_matrix, overlap
from torchseg.modelfile.model_file import ModelFile
from torchseg.modelfile.run_options import DEFAULT_OPTIONS
from torchseg.pipeline.manifest.source_check import model_problem
from torchseg.pipeline.run.dataset import open_configured
from torchseg.pipeline.run.folder import is_run
from torchseg.pipeline.run.foreign_spec import foreign_spec
from torchseg.pipeline.run.image_spec import recorded_spec_of, spec_of
from torchseg.pipeline.run.lock import locked
from torchseg.pipeline.run.recorded_config import recorded_config, run_of
from torchseg.plural import counted
from torchseg.processes.child_limits import memory_advice, memory_limit_bytes
from torchseg.progress_bar import Progress
from torchseg.spec import ImageSpec

Labels = NDArray[np.uint8]
_COLUMNS = ("model", "image", "miou", "mean_dice", "pixel_accuracy")
_ALL = "all images"
_BYTES_PER_PIXEL = 30  # of the image, its mask, and what is painted; measured on 13,000x13,000 pixels

Read = Callable[[Path], Sample]

_LOG = logging.getLogger(__name__)


@within_limits
def predict(config: PredictConfig) -> int:
    """Writes each image's mask at the image's own size, an overlay, and what `--truth` and `--compare` ask for.

    Raises:
        ValueError: if a model, an image or a mask cannot be read, or the output folder is that of a run.
    """
    files = _find(config.images)
    paths = [config.model, *config.compare]
    segment = by_tiles if config.tiles else by_resizing
    if is_run(config.out):
        raise ValueError(
            f"--out {config.out} is the folder of a run, whose scores and figures the masks would mix with; give a "
            f"folder of their own, e.g. {config.out / 'masks'}"
        )
    with ExitStack() as opened:
        opened.enter_context(locked(config.out))
        models = [
            opened.enter_context(OpenedModel(path, name, segment=segment, threads=config.cores, flags=config))
            for path, name in zip(paths, names_of(paths), strict=True)
        ]
        spec = _common_spec(models)
        images = ImageReader(channels=spec.channels, value_range=config.values or spec.value_range, exif=config.exif)
        if config.truth:
            read = reader_with_truth(files, config.truth, config.model, spec, images)
        else:
            read = partial(without_truth, images=images)
        totals: dict[str, Counts] = {model.name: np.zeros((spec.num_classes,) * 2, np.int64) for model in models}
        rows = []
        bar = opened.enter_context(Progress(len(files), "predicting", unit="image", says_end=False))
        for file in files:
            _check_size(images.size(file), file, classes=spec.num_classes if config.tiles else 0)
            sample = read(file)
            answers = {model.name: model.labels(sample.picture) for model in models}
            _save(config, sample, answers, spec)
            for name, labels in answers.items():
                counts = confusion_matrix(labels, sample.mask, num_classes=spec.num_classes)
                totals[name] += counts
                rows.append(_row(name, sample.name, counts))
            bar.advance()
        notes = {model.name: model.note() for model in models}
    rows += [_row(name, _ALL, counts) for name, counts in totals.items()]
    _print_outcome(config, len(files), rows, spec)
    print("".join(f"  {name}: {note}\n" for name, note in notes.items() if note), end="")
    return DONE


def _find(images: Sequence[Path]) -> list[Path]:
    """Every image named or in a folder named; raises ValueError if two of them would get the same mask file."""
    files = [file for given in images for file in (find_pictures(given) if given.is_dir() else [given])]
    by_name: dict[str, Path] = {}
    for file in files:
        check_no_device(file)
        other = by_name.setdefault(file.stem.casefold(), file)  # some file systems ignore case
        if other is not file:
            raise ValueError(f"{other} and {file} would both get the mask {file.stem}.png; give them apart")
    return files


def _check_size(size: tuple[int, int], file: Path, *, classes: int) -> None:
    """Raises ValueError, before it is decoded, for an image that takes more memory than a process may take.

    Args:
        size: height and width in pixels.
        file: the image.
        classes: whose scores are kept at full resolution, see `by_tiles`; 0 for none.
    """
    needed = size[0] * size[1] * (_BYTES_PER_PIXEL + 8 * classes)
    if needed > memory_limit_bytes():
        raise ValueError(
            f"{file} has {size[0]}x{size[1]} pixels, which take about {needed / 1e9:.1f} GB to predict and to paint; "
            f"give smaller images, or more memory: {memory_advice()}"
        )


def _common_spec(models: Sequence[OpenedModel]) -> ImageSpec:
    """The first model's spec; raises ValueError if another model has another number of classes."""
    spec = models[0].spec
    for model in models[1:]:
        if model.spec.num_classes != spec.num_classes:
            raise ValueError(
                f"{model.name} has {model.spec.num_classes} classes and {models[0].name} {spec.num_classes}; "
                "compare models of the same classes"
            )
    return spec


def _save(config: PredictConfig, sample: Sample, answers: Mapping[str, Labels], spec: ImageSpec) -> None:
    labels = next(iter(answers.values()))
    images = {"": indexed(labels), "overlays": Image.fromarray(overlay(sample.picture, labels))}
    if config.truth:
        wrong = (labels != sample.mask) & (sample.mask < spec.num_classes)
        images["errors"] = Image.fromarray(marked(sample.picture, wrong, WRONG))
    if config.truth or config.compare:
        images["figures"] = comparison(sample, answers, spec)
    for folder, image in images.items():
        path = config.out / folder / f"{sample.name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial_file(path) as partial:
            image.save(partial)


def _row(model: str, image: str, counts: Counts) -> dict[str, object]:
    scores = overlap(counts)
    return {"model": model, "image": image} | {name: round(getattr(scores, name), 6) for name in _COLUMNS[2:]}


def _print_outcome(config: PredictConfig, count: int, rows: Sequence[Mapping[str, object]], spec: ImageSpec) -> None:
    names = ", ".join(f"{index} {name}" for index, name in enumerate(spec.classes))
    painted = f"painted over the images in {config.out / 'overlays'}"
    print(f"{counted(count, 'mask')} in {config.out}, {painted}; values are {names}")
    if config.truth:
        write_rows(config.out / "scores.csv", _COLUMNS, rows)
        for row in rows:
            if row["image"] == _ALL:
                shares = [percent(float(str(row[name]))) for name in ("miou", "pixel_accuracy")]
                print(f"  {row['model']}: mean IoU {shares[0]}, {shares[1]} of pixels right")
        print(f"  scores   {config.out / 'scores.csv'}")
    if config.truth or config.compare:
        print(f"  figures  {config.out / 'figures'}")


def without_truth(file: Path, *, images: ImageReader) -> Sample:
    """The image as uint8 `(H, W, C)`, with a mask `(H, W)` that is ignored everywhere."""
    picture = images.read(file)[0]
    return Sample(name=file.stem, picture=picture, mask=np.full(picture.shape[:2], 255, np.uint8))


def reader_with_truth(files: Sequence[Path], truth: Path, model: Path, spec: ImageSpec, images: ImageReader) -> Read:
    """A function that reads an image together with its true mask.

    Args:
        files: the images that it will be called with.
        truth: the mask of a single image, or a folder with one PNG per image, of the same name.
        model: the data set of its run defines how masks are stored; outside a run, pixel values are classes.
        spec: its classes.
        images: reads the images.

    Raises:
        ValueError: if a mask is missing. The function raises it for a mask that does not fit its image or the classes.
    """
    masks = {file: truth / f"{file.stem}.png" if truth.is_dir() else truth for file in files}
    if not truth.is_dir() and len(files) > 1:
        raise ValueError(f"--truth {truth} is one mask for {len(files)} images; give the folder of their masks")
    for file, mask in masks.items():
        if not mask.is_file():
            raise ValueError(f"image {file} has no mask: expected {mask}; add it, or leave --truth out")
    stored = _samples_of(model)

    def read(file: Path) -> Sample:
        pairs = [(file, masks[file])]
        if stored is None:
            return FileSamples(pairs, classes=spec.classes, images=images)[0]
        decode, stored_mask = stored.decode, stored.read
        return FileSamples(pairs, classes=spec.classes, decode=decode, read=stored_mask, images=images)[0]

    return read


def _samples_of(model: Path) -> FileSamples | None:
    """The test samples of the model's run, which know how masks are stored; None if run or data are missing."""
    try:
        config = recorded_config(run_of(model))
        data = open_configured(config, whole=True)
    except (ValueError, OSError):
        return None
    return data.test if isinstance(data.test, FileSamples) else None


class OpenedModel:
    """Runs a model file in a separate process, so that a crash of the runtime does not end this one.

    Args:
        path: a checkpoint's folder, or a `.onnx` or `.tflite` file.
        name: in figures and tables.
        segment: applies the model to a whole image of any size, by resizing or by tiles.
        threads: number of threads for one prediction.
        flags: how a file of another tool is run.

    Raises:
        ValueError: if the file is not a model, or has no image spec.
    """

    def __init__(
        self, path: Path, name: str, *, segment: Segment, threads: int, flags: PredictConfig | None = None
    ) -> None:
        file = ModelFile(path)
        file.check()
        if problem := model_problem(file):
            _LOG.warning("%s: %s; export it again before you trust the masks", path, problem)
        self.name, options = name, DEFAULT_OPTIONS
        if flags is not None and recorded_spec_of(file) is None:
            self.spec, options = foreign_spec(file, flags), flags.run_options
        else:
            self.spec = spec_of(file)
        self._segment = segment
        self._process = RuntimeProcess(path, threads=threads, options=replace(options, classes=self.spec.num_classes))

    def labels(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Classes `(H, W)` of an image `(H, W, C)`, both uint8; raises ValueError if the file fails."""
        return self._segment(self._process.probabilities, picture, self.spec)

    def note(self) -> str:
        """What a user should know of how the file was run; complete once it has run."""
        return self._process.describe().note

    def __enter__(self) -> OpenedModel:
        try:
            self._process.load()
        except ValueError:
            self._process.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.close()


def names_of(paths: Sequence[Path]) -> list[str]:
    """Short names of the models; the full path for models whose short names are equal."""
    short = [short_name(path.as_posix()) for path in paths]
    return [name if short.count(name) == 1 else path.as_posix() for name, path in zip(short, paths, strict=True)]
