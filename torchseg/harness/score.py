"""Measures model files side by side: scores.csv, per_class.csv, per_image.csv and the gallery's pictures."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from torchseg.data import Sample, Samples
from torchseg.harness.accuracy import count_pixels
from torchseg.harness.artifact import Artifact, ScoreFailure
from torchseg.harness.gallery import save_gallery
from torchseg.harness.latency import Latency, LatencyConfig, measure_latency
from torchseg.harness.latency_ratio import latency_ratio
from torchseg.harness.measured import Measured, inspect_measured, load_measured, open_measured
from torchseg.harness.progress import Progress
from torchseg.harness.score_tables import (
    CLASS_COLUMNS,
    IMAGE_COLUMNS,
    SCORE_COLUMNS,
    artifact_name,
    class_rows,
    image_row,
    score_row,
)
from torchseg.harness.table import Table
from torchseg.metrics import Overlap
from torchseg.spec import ImageSpec

__all__ = ["Artifact", "ScoreFailure", "score_artifacts"]
_log = logging.getLogger(__name__)


def score_artifacts(
    artifacts: Sequence[Artifact],
    samples: Samples,
    spec: ImageSpec,
    out: Path,
    *,
    config: LatencyConfig,
    progress: Callable[[int, str], Progress] = Progress,
) -> list[ScoreFailure]:
    """Times every file, counts its pixels on every sample, and writes the tables and the gallery into `out`.

    Every file runs in a process of its own, all of them open at once so that timing can alternate between
    them. A file that fails becomes a row with an empty score and an `error`; the others go on.

    Args:
        artifacts: what to measure, at least one.
        samples: with masks, of the spec's size, at least one; read once, a few at a time.
        spec: how to prepare the pictures, and the classes.
        out: the run folder; tables in it are replaced when the new ones are complete.
        config: how to time.
        progress: opens a progress display of so many steps under a label.

    Returns:
        The files that could not be scored, in the order of `artifacts`; empty when all went well.

    Raises:
        ValueError: if there is nothing to score, or a picture has another size than the spec.
    """
    if not artifacts or not len(samples):
        raise ValueError(
            f"there are {len(artifacts)} files and {len(samples)} pictures to score; give at least one each"
        )
    files = [open_measured(each, num_classes=spec.num_classes, threads=config.threads) for each in artifacts]
    try:
        _measure_time(files, samples[0], spec, config)
        _measure_accuracy(files, samples, spec, out, progress)
        save_gallery(files, samples, spec, out)
    finally:
        for measured in files:
            measured.close()
    _write_tables(files, spec, out, config)
    failures = [ScoreFailure(artifact=each.artifact, reason=each.reason) for each in files if each.reason]
    for failure in failures:
        _log.error("not scored: %s", failure)
    return failures


def _measure_time(files: Sequence[Measured], sample: Sample, spec: ImageSpec, config: LatencyConfig) -> None:
    for measured in files:
        load_measured(measured)
    loaded = [measured for measured in files if not measured.reason]
    image = spec.prepare(sample.picture[None])  # (1, C, H, W)
    processes = [measured.process for measured in loaded if measured.process is not None]
    for measured, outcome in zip(loaded, measure_latency(processes, image, config), strict=True):
        if isinstance(outcome, Latency):
            measured.latency = outcome
        else:
            measured.reason = str(outcome)
        inspect_measured(measured)
    _compare_times(loaded)


def _compare_times(files: Sequence[Measured]) -> None:
    """Holds every file's time against that of the checkpoint it was exported from, if that was timed as well."""
    timed = {each.artifact.folder: each for each in files if each.latency is not None}
    for measured in files:
        baseline = timed.get(measured.artifact.reference_folder or measured.artifact.folder)
        if baseline is not None and baseline is not measured and measured.latency and baseline.latency:
            measured.ratio = latency_ratio(measured.latency.recorded_ms, baseline.latency.recorded_ms)


def _measure_accuracy(
    files: Sequence[Measured],
    samples: Samples,
    spec: ImageSpec,
    out: Path,
    progress: Callable[[int, str], Progress],
) -> None:
    with (
        Table(out / "per_image.csv", IMAGE_COLUMNS) as table,
        progress(len(samples), "scoring pictures") as display,
    ):

        def on_image(measured: Measured, sample: Sample, scores: Overlap) -> None:
            table.write(image_row(measured, sample, scores, out))

        count_pixels(files, samples, spec, on_image=on_image, advance=display.advance)


def _write_tables(files: Sequence[Measured], spec: ImageSpec, out: Path, config: LatencyConfig) -> None:
    with Table(out / "per_class.csv", CLASS_COLUMNS) as table:
        for measured in files:
            for row in class_rows(measured, spec, out):
                table.write(row)
    _write_confusion(files, spec, out)
    with Table(out / "scores.csv", SCORE_COLUMNS) as table:
        for measured in files:
            table.write(score_row(measured, spec, out, config))


def _write_confusion(files: Sequence[Measured], spec: ImageSpec, out: Path) -> None:
    """Keeps the matrices themselves: every ratio in the tables can be computed from them again."""
    working = [measured for measured in files if not measured.reason]
    counts = {artifact_name(each.artifact.path, out): each.counts.tolist() for each in working}
    path = out / "figures" / "confusion.json"
    path.parent.mkdir(exist_ok=True)
    partial = path.with_name(".confusion.json.partial")
    partial.write_text(json.dumps({"classes": list(spec.classes), "counts": counts}) + "\n")
    partial.replace(path)
