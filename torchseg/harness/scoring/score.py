"""Scores model files side by side; writes scores.csv, per_class.csv, per_image.csv and the images of the gallery."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from torchseg.atomic_file import partial_file
from torchseg.data import Sample, Samples
from torchseg.harness.csv_table import Table, write_rows
from torchseg.harness.measure.pixel_counts import MetricAccumulator
from torchseg.harness.measure.size import gzip_bytes, zstd_bytes
from torchseg.harness.scoring.accuracy import Labels, Pictures, count_pixels, predict_labels
from torchseg.harness.scoring.artifact import Artifact, ScoreFailure, artifact_names
from torchseg.harness.scoring.columns import (
    CLASS_COLUMNS,
    CONFUSION,
    CURVE_COLUMNS,
    IMAGE_COLUMNS,
    SCORE_COLUMNS,
    class_rows,
    curve_rows,
    image_row,
    score_row,
)
from torchseg.harness.scoring.gallery import Predict, save_gallery
from torchseg.harness.scoring.latency import LatencyConfig
from torchseg.harness.scoring.measurement import TEST, Measured, note_output
from torchseg.harness.scoring.timing import baselines_of, measure_time, note_ratios, open_files, phase
from torchseg.harness.scoring.waves import Wave, plan_waves, room_now
from torchseg.metrics import Overlap, miou_difference, overlap
from torchseg.plural import counted
from torchseg.progress_bar import Progress
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
    split: str = TEST,
    while_open: Callable[[Sequence[Measured]], None] = lambda _: None,
) -> list[ScoreFailure]:
    """Times each file, counts its pixels on every sample, and writes the tables and the gallery to `out`.

    Each file runs in its own process. All processes are open at once, so that timing can alternate between them; if
    memory or the limit of open files is too small for that, as many as fit, in waves (see `plan_waves`). A file that
    fails becomes a row with an empty score and an `error`; the others continue.

    Args:
        artifacts: files to score, at least one.
        samples: images with masks, of the spec's size, at least one; read once, a few at a time.
        spec: size and normalisation of the images, and the classes.
        out: the run folder; tables in it are replaced when the new ones are complete.
        config: how to time.
        split: that the samples are from; every table names it.
        while_open: takes further measurements of the files whose `reason` is empty; called for each wave after its
            timing, while nothing else runs.

    Returns:
        The files that could not be scored, in the order of `artifacts`; empty if all were scored.

    Raises:
        ValueError: if there is nothing to score, or the size of an image differs from the spec.
    """
    if not artifacts or not len(samples):
        given = f"{counted(len(artifacts), 'file')} and {counted(len(samples), 'image')}"
        raise ValueError(f"there are {given} to score; give at least one each")
    out.mkdir(parents=True, exist_ok=True)
    files = _describe(artifacts, spec, out, config=config, split=split)
    baselines = {id(files[ours]): files[theirs] for ours, theirs in baselines_of(files)}
    waves = plan_waves(files, lambda measured: baselines.get(id(measured)), room_now())
    try:
        with Table(out / "per_image.csv", IMAGE_COLUMNS) as table:
            scorer = _WaveScorer(samples, table, config, while_open)
            for number, wave in enumerate(waves, start=1):
                if len(waves) > 1:
                    _log.info("wave %d of %d: %d of %d files", number, len(waves), len(wave.files), len(files))
                scorer.score(wave)
                if len(waves) > 1:
                    _close(wave.every)
        if not any(measured.accumulator.counts.any() for measured in files if not measured.reason):
            _check_scored(files)
        _note_differences(files)
        with phase("gallery"):
            save_gallery(files, samples, spec, out, predict=_predict_in(waves, jobs=config.jobs))
    finally:
        _close(each for wave in waves for each in wave.every)
    _write_tables(files, spec, out, config)
    failures = [ScoreFailure(artifact=each.artifact, reason=each.reason) for each in files if each.reason]
    for failure in failures:
        _log.error("not scored: %s", failure)
    return failures


@dataclass(frozen=True)
class _WaveScorer:
    """Takes all measurements of the files of one wave after the other.

    `leaders` holds, by accumulator, the file that counted the pixels for all rows of the same file and runtime.
    """

    samples: Samples
    table: Table
    config: LatencyConfig
    while_open: Callable[[Sequence[Measured]], None]
    leaders: dict[int, Measured] = field(default_factory=dict)

    def score(self, wave: Wave) -> None:
        """Opens the files and measures them; those of the wave itself stay open."""
        measure_time(wave.every, self.samples[0], self.config)
        note_ratios(wave)
        _close(wave.again)
        self.while_open(wave.files)
        with (
            phase("accuracy"),
            ThreadPoolExecutor(max_workers=1) as pool,
        ):  # compresses files meanwhile: nothing is timed any more
            packing = pool.map(_pack, wave.files)
            self._count_pixels(wave.files)
            list(packing)

    def _count_pixels(self, files: Sequence[Measured]) -> None:
        first: dict[int, Measured] = {}
        for measured in files:
            if not measured.reason and id(measured.accumulator) not in self.leaders:
                first.setdefault(id(measured.accumulator), measured)
        self.leaders.update(first)

        def on_image(measured: Measured, sample: Sample, scores: Overlap) -> None:
            self.table.write(image_row(measured, sample, scores))

        with Progress(len(self.samples), "scoring images") as display:
            count_pixels(
                list(first.values()),
                self.samples,
                on_image=on_image,
                advance=display.advance,
                jobs=self.config.jobs,
            )
        for measured in first.values():
            note_output(measured)
        for measured in files:
            if not measured.reason:
                leader = self.leaders[id(measured.accumulator)]
                measured.reason, measured.output_kind = leader.reason, leader.output_kind


def _close(files: Iterable[Measured]) -> None:
    for measured in files:
        measured.close()


def _predict_in(waves: Sequence[Wave], *, jobs: int) -> Predict:
    """Predicts with files that are open already, or, after several waves, opens them again in the same waves."""

    def predict(files: Sequence[Measured], pictures: Pictures) -> list[Labels | None]:
        with ThreadPoolExecutor(max_workers=jobs) as pool:
            if len(waves) == 1:
                return predict_labels(files, pictures, pool)
            found: dict[int, Labels | None] = {}
            for wave in waves:
                wanted = [each for each in files if any(each is own for own in wave.files)]
                open_files(wanted)
                found |= dict(zip(map(id, wanted), predict_labels(wanted, pictures, pool), strict=True))
                _close(wanted)
            return [found[id(each)] for each in files]

    return predict


def _check_scored(files: Sequence[Measured]) -> None:
    """Raises ValueError if files could be run, and yet no pixel was counted."""
    if any(not measured.reason for measured in files):
        raise ValueError("every mask is ignored everywhere, so there is nothing to score on; give images with masks")


def _describe(
    artifacts: Sequence[Artifact], spec: ImageSpec, out: Path, *, config: LatencyConfig, split: str
) -> list[Measured]:
    """A `Measured` per file, before any measurement; rows of the same file and runtime share their accumulator."""
    names = artifact_names(artifacts, out)
    count = Counter(names)
    accumulators: dict[tuple[str, str | None], MetricAccumulator] = {}
    files = []
    for artifact, name in zip(artifacts, names, strict=True):
        threads = artifact.threads or config.threads
        conditions = ", ".join(filter(None, (artifact.runtime, counted(threads, "thread") if artifact.threads else "")))
        measured = Measured(
            artifact=artifact,
            name=name,
            key=f"{name} ({conditions})" if count[name] > 1 and conditions else name,
            spec=artifact.spec or spec,
            split=split,
            threads=threads,
            accumulator=accumulators.setdefault((name, artifact.runtime), MetricAccumulator(spec.num_classes)),
        )
        files.append(measured)
    return files


def _pack(measured: Measured) -> None:
    """Records the compressed size of a file, which takes a second or two."""
    if measured.size_bytes is not None:
        measured.gzip_bytes = gzip_bytes(measured.artifact.file.parts)
        measured.zstd_bytes = zstd_bytes(measured.artifact.file.parts)


def _note_differences(files: Sequence[Measured]) -> None:
    """Compares the accuracy of each file with that of its baseline if both were timed and scored."""
    known = {each.key: each for each in reversed(files)}
    for measured in files:
        baseline = known.get(measured.baseline)
        if baseline is not None and not measured.reason and not baseline.reason:
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
    content = {"classes": list(spec.classes), "split": files[0].split, "counts": counts}
    path = out / CONFUSION
    with partial_file(path) as partial:
        partial.write_text(json.dumps(content) + "\n", encoding="utf-8")
