"""Streams images through several loaded model files at once and counts pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from torchseg.checkpoint import read_card
from torchseg.data import Sample, Samples
from torchseg.harness.measure.pixel_counts import BatchCounts, MetricAccumulator
from torchseg.harness.preprocess import prepare_each
from torchseg.harness.runtimes.process import RuntimeProcess, RuntimeProcessError
from torchseg.harness.scoring.artifact import Artifact
from torchseg.harness.scoring.measurement import Measured, load_measured, start_measured
from torchseg.metrics import Overlap

Labels = NDArray[np.uint8]
Pictures = NDArray[np.uint8]
OnImage = Callable[[Measured, Sample, Overlap], None]
Answer = TypeVar("Answer")
_BATCH = 8  # images per batch


def count_pixels(
    files: Sequence[Measured], samples: Samples, *, on_image: OnImage, advance: Callable[[int], None], jobs: int = 1
) -> None:
    """Fills the metric accumulator of each file that has no `reason` (has not failed).

    All files predict a batch before they get the next one, so each image is read once and memory does not grow with the
    number of images. A file that fails gets a `reason` and drops out.

    Args:
        files: loaded files.
        samples: images with masks, all of one size.
        on_image: called with the file, the sample and the scores for each file and image.
        advance: called with the number of images in each finished batch.
        jobs: files that predict at a time.
    """
    references = _open_references(files)
    slowest_first = sorted(files, key=_median_ms, reverse=True)  # so that no core waits long for the last file
    try:
        with ThreadPoolExecutor(max_workers=jobs) as pool, ThreadPoolExecutor(max_workers=1) as reader:
            for batch in _batches(samples, reader):
                pictures = np.stack([sample.picture for sample in batch])
                masks = np.stack([sample.mask for sample in batch])
                found = dict(
                    zip(map(id, slowest_first), _evaluate_batch(slowest_first, pictures, masks, pool), strict=True)
                )
                answers = dict(zip(map(_folder, references), predict_labels(references, pictures, pool), strict=True))
                answers |= {_folder(each): judged.labels for each in files if (judged := found[id(each)])}
                for measured in files:
                    batch_counts = found[id(measured)]
                    if batch_counts is not None:
                        _count(measured, batch_counts, answers, batch, on_image)
                advance(len(batch))
    finally:
        for each in references:
            each.close()


def predict_labels(files: Sequence[Measured], pictures: Pictures, pool: ThreadPoolExecutor) -> list[Labels | None]:
    """Classes `(B, H, W)` that each file predicts for uint8 pictures `(B, H, W, C)`; the pool runs files in parallel.

    A file that fails gives None and gets a `reason`.
    """
    images = prepare_each(pictures, (each.spec for each in files))
    size = (pictures.shape[1], pictures.shape[2])
    return _ask(files, lambda each, process: process.labels(images[each.spec], size=size), pool)


def _evaluate_batch(
    files: Sequence[Measured], pictures: Pictures, masks: Labels, pool: ThreadPoolExecutor
) -> list[BatchCounts | None]:
    """Like `predict_labels`, but also counts the pixels against masks `(B, H, W)`."""
    images = prepare_each(pictures, (each.spec for each in files))

    def one(measured: Measured, process: RuntimeProcess) -> BatchCounts:
        return process.evaluate_batch(images[measured.spec], masks, num_classes=len(measured.accumulator.counts))

    return _ask(files, one, pool)


def _ask(
    files: Sequence[Measured], question: Callable[[Measured, RuntimeProcess], Answer], pool: ThreadPoolExecutor
) -> list[Answer | None]:
    def one(measured: Measured) -> Answer | None:
        if measured.process is None or measured.reason:
            return None
        try:
            return question(measured, measured.process)
        except RuntimeProcessError as failure:
            measured.reason = str(failure)
            return None

    return list(pool.map(one, files))


def _count(
    measured: Measured,
    batch_counts: BatchCounts,
    answers: Mapping[Path, Labels | None],
    batch: list[Sample],
    on_image: OnImage,
) -> None:
    """Adds a batch to a file's accumulator; `answers` holds each file's predicted classes `(B, H, W)`, by folder."""
    for sample, scores in zip(batch, measured.accumulator.add(batch_counts), strict=True):
        on_image(measured, sample, scores)
    reference = measured.artifact.reference_folder
    expected = None if reference is None else answers.get(reference)
    if expected is not None:
        measured.accumulator.add_reference(batch_counts.labels, expected)


def _folder(measured: Measured) -> Path:
    return measured.artifact.folder


def _median_ms(measured: Measured) -> float:
    return measured.latency.median_ms if measured.latency else 0.0


def _open_references(files: Sequence[Measured]) -> list[Measured]:
    """Opens the checkpoints that files were exported from and that are not scored themselves.

    If one cannot be opened, the files made from it are still scored, without their agreement with it.
    """
    scored = {measured.artifact.folder for measured in files}
    wanted = {measured.artifact.reference_folder for measured in files if not measured.reason}
    opened = []
    for folder in sorted(folder for folder in wanted if folder is not None and folder not in scored):
        artifact = Artifact(path=folder, stage="reference", format="torch", precision="fp32")
        try:
            spec = read_card(folder).spec
        except ValueError:
            continue
        reference = Measured(
            artifact=artifact, name="", key="", spec=spec, threads=1, accumulator=MetricAccumulator(spec.num_classes)
        )
        start_measured(reference)
        load_measured(reference)
        opened.append(reference)
    return opened


def _batches(samples: Samples, reader: ThreadPoolExecutor) -> Iterator[list[Sample]]:
    """Batches in order; the next one is read while the current one is processed."""

    def read(start: int) -> list[Sample]:
        return [samples[at] for at in range(start, min(start + _BATCH, len(samples)))]

    coming = reader.submit(read, 0)
    for start in range(_BATCH, len(samples) + _BATCH, _BATCH):
        batch = coming.result()
        coming = reader.submit(read, start)
        yield batch
