"""Streams pictures through several loaded files at once and counts pixels."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from torchseg.data import Sample, Samples
from torchseg.harness.artifact import Artifact
from torchseg.harness.measured import Measured, load_measured, open_measured
from torchseg.harness.process import RuntimeProcessError
from torchseg.metrics import Overlap, boundary_counts, confusion_matrix, overlap
from torchseg.spec import ImageSpec

Labels = NDArray[np.uint8]
OnImage = Callable[[Measured, Sample, Overlap], None]
_BATCH = 8  # pictures in memory at a time


def count_pixels(
    files: Sequence[Measured],
    samples: Samples,
    spec: ImageSpec,
    *,
    on_image: OnImage,
    advance: Callable[[int], None],
) -> None:
    """Fills `counts`, `agreeing`, `compared` and `image_miou` of every file that has no `reason`.

    All files see a batch of pictures before the next one is read, so every picture is opened once and memory
    does not grow with their number. A file that fails gets its `reason` and drops out.

    Args:
        files: loaded.
        samples: of the spec's size.
        spec: how to prepare the pictures, and the classes.
        on_image: called with each file's overlap on each picture.
        advance: called with the number of pictures that are done.
    """
    references = _open_references(files)
    everything = [*files, *references]
    try:
        with ThreadPoolExecutor(max_workers=min(len(everything), os.cpu_count() or 1)) as pool:
            for batch in _batches(samples):
                images = spec.prepare(np.stack([sample.picture for sample in batch]))
                found = predict_labels(everything, images, pool)
                known: dict[Path | None, Labels] = {
                    each.artifact.folder: labels
                    for each, labels in zip(everything, found, strict=True)
                    if labels is not None and _is_torch(each)
                }
                for measured, labels in zip(files, found[: len(files)], strict=True):
                    if labels is not None:
                        _count(measured, labels, batch, on_image)
                        _compare(measured, labels, known.get(measured.artifact.reference_folder))
                advance(len(batch))
    finally:
        for reference in references:
            reference.close()


def predict_labels(
    files: Sequence[Measured], images: NDArray[np.float32], pool: ThreadPoolExecutor
) -> list[Labels | None]:
    """Classes `(B, H, W)` from every file, as many at a time as the pool has workers; None if it failed."""

    def one(measured: Measured) -> Labels | None:
        if measured.process is None or measured.reason:
            return None
        try:
            return measured.process.labels(images)
        except RuntimeProcessError as failure:
            measured.reason = str(failure)
            return None

    return list(pool.map(one, files))


def _count(measured: Measured, labels: Labels, batch: list[Sample], on_image: OnImage) -> None:
    for at, sample in enumerate(batch):
        try:
            counts = confusion_matrix(labels[at], sample.mask, num_classes=len(measured.counts))
        except ValueError as error:
            measured.reason = str(error)
            return
        measured.counts += counts
        found = boundary_counts(labels[at], sample.mask, num_classes=len(counts))
        measured.boundary = found if measured.boundary is None else measured.boundary + found
        scores = overlap(counts)
        measured.image_miou.append(scores.miou)
        on_image(measured, sample, scores)


def _compare(measured: Measured, labels: Labels, reference: Labels | None) -> None:
    if reference is not None and reference.shape == labels.shape:
        measured.agreeing += int((labels == reference).sum())
        measured.compared += labels.size


def _open_references(files: Sequence[Measured]) -> list[Measured]:
    """Opens the checkpoints that files were exported from and that are not scored themselves.

    One that cannot be opened answers nothing: agreement stays empty, and the file is scored all the same.
    """
    scored = {measured.artifact.folder for measured in files}
    wanted = {measured.artifact.reference_folder for measured in files if not measured.reason}
    opened = []
    for folder in sorted(folder for folder in wanted if folder is not None and folder not in scored):
        artifact = Artifact(path=folder, stage="reference", format="torch", precision="fp32")
        opened.append(open_measured(artifact, num_classes=2, threads=1))
    for reference in opened:
        load_measured(reference)
    return opened


def _is_torch(measured: Measured) -> bool:
    return measured.artifact.format == "torch"


def _batches(samples: Samples) -> Iterator[list[Sample]]:
    for start in range(0, len(samples), _BATCH):
        yield [samples[at] for at in range(start, min(start + _BATCH, len(samples)))]
