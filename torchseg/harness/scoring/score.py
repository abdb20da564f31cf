"""Scores model files side by side; writes scores.csv, per_class.csv, per_image.csv and the images of the gallery."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from torchseg.atomic_file import partial_file
from torchseg.data import Sample, Samples
from torchseg.harness.csv_table import Table, write_rows
from torchseg.harness.measure.pixel_counts import MetricAccumulator
from torchseg.harness.measure.size import gzip_bytes, zstd_bytes
from torchseg.harness.preprocess import prepare
from torchseg.harness.scoring.accuracy import count_pixels
from torchseg.harness.scoring.artifact import Artifact, ScoreFailure, artifact_names
from torchseg.harness.scoring.columns import (
    CLASS_COLUMNS,
    CURVE_COLUMNS,
    IMAGE_COLUMNS,
    SCORE_COLUMNS,
    class_rows,
    curve_rows,
    image_row,
    score_row,
)
from torchseg.harness.scoring.gallery import save_gallery
from torchseg.harness.scoring.latency import Latency, LatencyConfig, latency_ratio, measure_latency
from torchseg.harness.scoring.measurement import (
    Measured,
    inspect_measured,
    load_measured,
    note_output,
    start_measured,
    wait_for_measured,
)
from torchseg.harness.scoring.peak_memory import Probes
from torchseg.metrics import Overlap, miou_difference, overlap
from torchseg.progress_bar import Progress
from torchseg.spec import ImageSpec

__all__ = ["Artifact", "ScoreFailure", "score_artifacts"]
_log = logging.getLogger(__name__)
PHASE = "%s: %.1f s"  # log message with a phase and its duration
_MakeProgress = Callable[[int, str], Progress]


def score_artifacts(
    artifacts: Sequence[Artifact],
    samples: Samples,
    spec: ImageSpec,
    out: Path,
    *,
    config: LatencyConfig,
    progress: _MakeProgress = Progress,
    while_open: Callable[[Sequence[Measured]], None] = lambda _: None,
) -> list[ScoreFailure]:
    """Times each file, counts its pixels on every sample, and writes the tables and the gallery to `out`.

    Each file runs in its own process. All processes are open at once, so that timing can alternate between them. A file
    that fails becomes a row with an empty score and an `error`; the others continue.

    Args:
        artifacts: files to score, at least one.
        samples: images with masks, of the spec's size, at least one; read once, a few at a time.
        spec: size and normalisation of the images, and the classes.
        out: the run folder; tables in it are replaced when the new ones are complete.
        config: how to time.
        progress: creates a progress display from a number of steps and a label.
        while_open: takes further measurements of the files whose `reason` is empty; called after timing, while nothing
            else runs.

    Returns:
        The files that could not be scored, in the order of `artifacts`; empty if all were scored.

    Raises:
        ValueError: if there is nothing to score, or the size of an image differs from the spec.
    """
    if not artifacts or not len(samples):
        raise ValueError(f"there are {len(artifacts)} files and {len(samples)} images to score; give at least one each")
    out.mkdir(parents=True, exist_ok=True)
    files = _describe(artifacts, spec, out, config)
    try:
        _measure_time(files, samples[0], config, progress)
        while_open(files)
        with (
            _phase("accuracy"),
            ThreadPoolExecutor(max_workers=1) as pool,
        ):  # compresses files meanwhile: nothing is timed any more
            packing = pool.map(_pack, files)
            _measure_accuracy(files, samples, out, progress, jobs=config.jobs)
            list(packing)
        if not any(measured.accumulator.counts.any() for measured in files if not measured.reason):
            _check_scored(files)
        _compare(files)
        with _phase("gallery"):
            save_gallery(files, samples, spec, out, jobs=config.jobs)
    finally:
        for measured in files:
            measured.close()
    _write_tables(files, spec, out, config)
    failures = [ScoreFailure(artifact=each.artifact, reason=each.reason) for each in files if each.reason]
    for failure in failures:
        _log.error("not scored: %s", failure)
    return failures


def _check_scored(files: Sequence[Measured]) -> None:
    """Raises ValueError if files could be run, and yet no pixel was counted."""
    if any(not measured.reason for measured in files):
        raise ValueError("every mask is ignored everywhere, so there is nothing to score on; give images with masks")


def _describe(artifacts: Sequence[Artifact], spec: ImageSpec, out: Path, config: LatencyConfig) -> list[Measured]:
    """A `Measured` per file, before any measurement; rows of the same file and runtime share their accumulator."""
    names = artifact_names(artifacts, out)
    count = Counter(names)
    accumulators: dict[tuple[str, str | None], MetricAccumulator] = {}
    files = []
    for artifact, name in zip(artifacts, names, strict=True):
        threads = artifact.threads or config.threads
        conditions = ", ".join(filter(None, (artifact.runtime, f"{threads} threads" if artifact.threads else "")))
        measured = Measured(
            artifact=artifact,
            name=name,
            key=f"{name} ({conditions})" if count[name] > 1 and conditions else name,
            spec=artifact.spec or spec,
            threads=threads,
            accumulator=accumulators.setdefault((name, artifact.runtime), MetricAccumulator(spec.num_classes)),
        )
        files.append(measured)
    return files


@contextmanager
def _phase(name: str) -> Iterator[None]:
    begin = time.monotonic()
    yield
    _log.info(PHASE, name, time.monotonic() - begin)


def _measure_time(files: Sequence[Measured], sample: Sample, config: LatencyConfig, progress: _MakeProgress) -> None:
    with _phase("opening"), progress(len(files), "opening files") as display:
        for measured in files:
            start_measured(measured)
        for measured in files:
            wait_for_measured(measured)
        for measured in files:
            load_measured(measured)
            display.advance()
    loaded = [measured for measured in files if not measured.reason]
    processes = [measured.process for measured in loaded if measured.process is not None]
    images = [prepare(sample.picture[None], measured.spec) for measured in loaded]  # (1, C, H, W) each
    with (
        _phase("time"),
        progress(config.most_rounds, "timing, rounds at most") as display,
        Probes(measured.threads for measured in loaded) as probes,
    ):
        outcomes = measure_latency(
            [*processes, *probes.processes],
            [*images, *probes.images],
            config,
            pairs=_baselines(loaded),
            after_round=display.advance,
        )
        probes.note(outcomes[len(loaded) :])
    for measured, outcome in zip(loaded, outcomes, strict=False):
        if isinstance(outcome, Latency):
            measured.latency = outcome
        else:
            measured.reason = str(outcome)
    with _phase("memory and inspection"), progress(len(loaded), "inspecting files") as display:
        _inspect(loaded, probes, display, jobs=config.jobs)


def _inspect(loaded: Sequence[Measured], probes: Probes, display: Progress, *, jobs: int) -> None:
    with ThreadPoolExecutor(max_workers=jobs) as pool:  # processes may run in parallel: nothing is timed any more
        for _ in pool.map(inspect_measured, loaded):
            display.advance()
    for measured in loaded:
        if measured.latency and measured.info and measured.multiply_adds:
            measured.peak_share = probes.share(
                measured.multiply_adds,
                measured.latency,
                arithmetic=measured.info.arithmetic,
                threads=measured.threads,
            )


def _pack(measured: Measured) -> None:
    """Records the compressed size of a file, which takes a second or two."""
    if measured.size_bytes is not None:
        measured.gzip_bytes = gzip_bytes(measured.artifact.file.parts)
        measured.zstd_bytes = zstd_bytes(measured.artifact.file.parts)


def _measure_accuracy(
    files: Sequence[Measured], samples: Samples, out: Path, progress: _MakeProgress, *, jobs: int
) -> None:
    first: dict[int, Measured] = {}  # the first of the files that share an accumulator
    for measured in files:
        if not measured.reason:
            first.setdefault(id(measured.accumulator), measured)
    with (
        Table(out / "per_image.csv", IMAGE_COLUMNS) as table,
        progress(len(samples), "scoring images") as display,
    ):

        def on_image(measured: Measured, sample: Sample, scores: Overlap) -> None:
            table.write(image_row(measured, sample, scores))

        count_pixels(list(first.values()), samples, on_image=on_image, advance=display.advance, jobs=jobs)
    for measured in first.values():
        note_output(measured)
    for measured in files:
        if not measured.reason:
            leader = first[id(measured.accumulator)]
            measured.reason, measured.output_kind = leader.reason, leader.output_kind


def _baselines(files: Sequence[Measured]) -> list[tuple[int, int]]:
    """Index pairs `(file, baseline)` for each file whose baseline is scored with the same number of threads."""
    known = {(each.artifact.folder, each.threads): at for at, each in reversed(list(enumerate(files)))}
    wanted = [(each.artifact.baseline_folder or each.artifact.folder, each.threads) for each in files]
    return [(at, known[key]) for at, key in enumerate(wanted) if known.get(key, at) != at]


def _compare(files: Sequence[Measured]) -> None:
    """Compares each file with its baseline if both were timed."""
    timed = [each for each in files if each.latency]
    for ours_at, theirs_at in _baselines(timed):
        measured, baseline = timed[ours_at], timed[theirs_at]
        assert measured.latency
        assert baseline.latency
        measured.baseline = baseline.key
        measured.ratio = latency_ratio(measured.latency.recorded_ms, baseline.latency.recorded_ms)
        if not measured.reason and not baseline.reason:
            ours, theirs = measured.accumulator, baseline.accumulator
            apart = overlap(ours.counts).miou - overlap(theirs.counts).miou
            measured.difference = miou_difference(ours.resampled, theirs.resampled, value=apart)


def _write_tables(files: Sequence[Measured], spec: ImageSpec, out: Path, config: LatencyConfig) -> None:
    write_rows(out / "per_class.csv", CLASS_COLUMNS, (row for each in files for row in class_rows(each, spec)))
    write_rows(out / "precision_recall.csv", CURVE_COLUMNS, (row for each in files for row in curve_rows(each, spec)))
    _write_confusion(files, spec, out)
    write_rows(out / "scores.csv", SCORE_COLUMNS, (score_row(each, spec, out, config) for each in files))


def _write_confusion(files: Sequence[Measured], spec: ImageSpec, out: Path) -> None:
    """Writes the confusion matrices, from which every ratio in the tables can be recomputed."""
    counts = {each.key: each.accumulator.counts.tolist() for each in files if not each.reason}
    path = out / "figures" / "confusion.json"
    with partial_file(path) as partial:
        partial.write_text(json.dumps({"classes": list(spec.classes), "counts": counts}) + "\n", encoding="utf-8")
