"""Latency, IoU and Dice of every file on single images, while its process is open and nothing else runs."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from torchseg.atomic_file import partial_file
from torchseg.config import MeasureConfig
from torchseg.data import Sample, Samples
from torchseg.harness.csv_table import Table
from torchseg.harness.drawing import indexed
from torchseg.harness.preprocess import prepare
from torchseg.harness.runtimes.process import RuntimeProcess, RuntimeProcessError
from torchseg.harness.scoring.measurement import Measured
from torchseg.metrics import confusion_matrix, overlap

PICTURES, VIEWS = "pictures.csv", "view"
COLUMNS = ("file", "image", "time_ms", "memory_mb", "iou", "dice")
_REPEATS = 3


class PictureTimes:
    """Writes `pictures.csv`, with a row for each file and image, and each file's prediction for the image to view.

    Times are the median of three predictions; opening the file does not count.
    """

    def __init__(self, run: Path, samples: Samples, measure: MeasureConfig) -> None:
        self.run, self.samples, self.measure = run, samples, measure
        self._rows: list[Mapping[str, object]] = []  # of the files that were open before

    def __call__(self, files: Sequence[Measured]) -> None:
        """Measures every file that has not failed; sets `reason` on a file that fails now.

        If not all files are open at once, the rows of later ones follow those of the first.
        """
        picked = range(min(self.measure.pictures, len(self.samples)))
        self._save_view(files)
        with Table(self.run / PICTURES, COLUMNS) as table:
            for row in self._rows:
                table.write(row)
            for at in picked:
                sample = self.samples[at]
                for measured in files if at % 2 else reversed(files):  # noise of the machine affects all files equally
                    if not measured.reason and measured.process:
                        self._measure(measured, measured.process, sample, table)

    def _measure(self, measured: Measured, process: RuntimeProcess, sample: Sample, table: Table) -> None:
        image = prepare(sample.picture[None], measured.spec)  # (1, C, H, W)
        try:
            taken = self._time(process, image)
            labels = process.labels(image)[0]  # (H, W)
        except RuntimeProcessError as failure:
            measured.reason = str(failure)
            return
        iou, dice = self._overlap(labels, sample, measured)
        row = {"file": file_of(measured), "image": sample.name, **taken, "iou": iou, "dice": dice}
        self._rows.append(row)
        table.write(row)

    def _time(self, process: RuntimeProcess, image: NDArray[np.float32]) -> dict[str, float]:
        """Median milliseconds per prediction; with tracemalloc also the peak MiB that it measured."""
        if not self.measure.with_tracemalloc:
            return {"time_ms": round(statistics.median(process.time(image, repeats=_REPEATS)), 3)}
        times, memory = zip(*process.time_traced(image, repeats=_REPEATS), strict=True)
        return {"time_ms": round(statistics.median(times), 3), "memory_mb": round(statistics.median(memory), 4)}

    def _overlap(self, labels: NDArray[np.uint8], sample: Sample, measured: Measured) -> tuple[float, float]:
        """Mean IoU and Dice over the chosen classes that occur in the image, as shares; NaN if none occurs."""
        scores = overlap(confusion_matrix(labels, sample.mask, num_classes=measured.spec.num_classes))
        chosen = self.measure.class_indices(measured.spec.classes)
        return mean_of(scores.iou[chosen]), mean_of(scores.dice[chosen])

    def _save_view(self, files: Sequence[Measured]) -> None:
        sample = picked_sample(self.samples, self.measure.view)
        folder = self.run / VIEWS
        for measured in files:
            if measured.reason or not measured.process:
                continue
            try:
                labels = measured.process.labels(prepare(sample.picture[None], measured.spec))[0]
            except RuntimeProcessError as failure:
                measured.reason = str(failure)
                continue
            with partial_file(folder / f"{file_of(measured)}.png") as partial:
                indexed(labels).save(partial)


def file_of(measured: Measured) -> str:
    """`torch`, or precision and format as in `int8.tflite`: the names of files in a recipe."""
    artifact = measured.artifact
    return "torch" if artifact.format == "torch" else f"{artifact.precision}.{artifact.format}"


def picked_sample(samples: Samples, name: str) -> Sample:
    """The sample of that name, or the first sample for an empty name; raises ValueError if there is none."""
    if not name:
        return samples[0]
    for index in range(len(samples)):
        sample = samples[index]
        if sample.name == name:
            return sample
    raise ValueError(f"measure.view is '{name}'; there is no such test image, the first is {samples[0].name}")


def mean_of(values: NDArray[np.float64]) -> float:
    """Mean of the values that are not NaN, to six digits; NaN if there are none."""
    known = values[~np.isnan(values)]
    return round(float(known.mean()), 6) if known.size else float("nan")
