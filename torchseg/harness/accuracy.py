"""Streams pictures through several loaded files at once and counts pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from torchseg.checkpoint import read_card
from torchseg.cores import available_cores
from torchseg.data import Sample, Samples
from torchseg.harness.artifact import Artifact
from torchseg.harness.measured import Measured, load_measured, start_measured
from torchseg.harness.prepare import prepare_each
from torchseg.harness.process import RuntimeProcess, RuntimeProcessError
from torchseg.harness.tally import Tally
from torchseg.metrics import Overlap

Labels = NDArray[np.uint8]
Pictures = NDArray[np.uint8]
OnImage = Callable[[Measured, Sample, Overlap], None]
_BATCH = 8  # pictures in memory at a time


def count_pixels(
    files: Sequence[Measured], samples: Samples, *, on_image: OnImage, advance: Callable[[int], None]
) -> None:
    """Fills the tally of every file that has no `reason`.

    All files see a batch of pictures before the next one is read, so every picture is opened once and memory
    does not grow with their number. A file that fails gets its `reason` and drops out.

    Args:
        files: loaded.
        samples: of one size.
        on_image: called with each file's overlap on each picture.
        advance: called with the number of pictures that are done.
    """
    references = _open_references(files)
    try:
        with ThreadPoolExecutor(max_workers=available_cores()) as pool:
            for batch in _batches(samples):
                pictures = np.stack([sample.picture for sample in batch])
                found = _judge(files, pictures, np.stack([sample.mask for sample in batch]), pool)
                everything = zip(
                    [*files, *references], [*found, *predict_labels(references, pictures, pool)], strict=True
                )
                known = {each.artifact.folder: labels for each, labels in everything}
                for measured, labels in zip(files, found, strict=True):
                    _count(measured, labels, batch, on_image)
                    reference = measured.artifact.reference_folder
                    answers = None if reference is None else known.get(reference)
                    if labels is not None and answers is not None:
                        measured.tally.add_reference(labels, answers)
                advance(len(batch))
    finally:
        for each in references:
            each.close()


def predict_labels(files: Sequence[Measured], pictures: Pictures, pool: ThreadPoolExecutor) -> list[Labels | None]:
    """Classes `(B, H, W)` of pictures `(B, H, W, C)` from every file, as many files at a time as the pool has workers.

    None for a file that failed; it gets its `reason`.
    """
    images = prepare_each(pictures, (each.spec for each in files))
    size = (pictures.shape[1], pictures.shape[2])
    return _ask(files, lambda each, process: process.labels(images[each.spec], size=size), pool)


def _judge(
    files: Sequence[Measured], pictures: Pictures, masks: Labels, pool: ThreadPoolExecutor
) -> list[Labels | None]:
    """As `predict_labels`, and adds the masks' pixels to each tally by the probability that the file gave them."""
    images = prepare_each(pictures, (each.spec for each in files))

    def one(measured: Measured, process: RuntimeProcess) -> Labels:
        labels, scores = process.judge(images[measured.spec], masks, num_classes=len(measured.tally.counts))
        measured.tally.add_scores(scores)
        return labels

    return _ask(files, one, pool)


def _ask(
    files: Sequence[Measured], question: Callable[[Measured, RuntimeProcess], Labels], pool: ThreadPoolExecutor
) -> list[Labels | None]:
    def one(measured: Measured) -> Labels | None:
        if measured.process is None or measured.reason:
            return None
        try:
            return question(measured, measured.process)
        except RuntimeProcessError as failure:
            measured.reason = str(failure)
            return None

    return list(pool.map(one, files))


def _count(measured: Measured, labels: Labels | None, batch: list[Sample], on_image: OnImage) -> None:
    for at, sample in enumerate(batch if labels is not None else []):
        assert labels is not None
        try:
            scores = measured.tally.add_picture(labels[at], sample.mask)
        except ValueError as error:
            measured.reason = str(error)
            return
        on_image(measured, sample, scores)


def _open_references(files: Sequence[Measured]) -> list[Measured]:
    """Opens the checkpoints that files were exported from and that are not scored themselves.

    One that cannot be opened answers nothing: agreement stays empty, and the file is scored all the same.
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
        reference = Measured(artifact=artifact, name="", key="", spec=spec, threads=1, tally=Tally(spec.num_classes))
        start_measured(reference)
        load_measured(reference)
        opened.append(reference)
    return opened


def _batches(samples: Samples) -> Iterator[list[Sample]]:
    for start in range(0, len(samples), _BATCH):
        yield [samples[at] for at in range(start, min(start + _BATCH, len(samples)))]
