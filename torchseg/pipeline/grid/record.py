"""Reads a training's run folder for the tables of a grid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from torchseg.harness.csv_table import read_table
from torchseg.harness.report.run_record import number
from torchseg.modelfile.card import Card, is_checkpoint, read_card
from torchseg.modelfile.certificate import ShownCertificate
from torchseg.pipeline.grid.per_image import PICTURES, mean_of
from torchseg.pipeline.grid.trainer import RECORD, STAGE, TrainerRecord
from torchseg.pipeline.stages.export import ARTIFACTS
from torchseg.record import build, read_json

Row = dict[str, object]
Part = TypeVar("Part", ShownCertificate, TrainerRecord)


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """The contents of one run folder.

    Attributes:
        card: card.json; None if there is no network.
        curve: rows of curves.csv.
        record: what the grid recorded about the training process.
        scores: rows of scores.csv, by file (`torch` or e.g. `int8.tflite`).
        classes: rows of per_class.csv, by file.
        pictures: rows of pictures.csv, by file.
        certificates: by file.
    """

    card: Card | None
    curve: Sequence[Mapping[str, str]]
    record: TrainerRecord
    scores: Mapping[str, Mapping[str, str]]
    classes: Mapping[str, Sequence[Mapping[str, str]]]
    pictures: Mapping[str, Sequence[Mapping[str, str]]]
    certificates: Mapping[str, ShownCertificate]

    def training(self) -> Row:
        """Columns on the network and its training; `memory_mb` is the peak memory of the training process, in MiB."""
        metrics = self.card.metrics if self.card else {}
        last = self.curve[-1] if self.curve else {}
        seconds = [number(row, "seconds") or 0.0 for row in self.curve]
        return {
            "epochs_trained": last.get("epoch", ""),
            "parameters": metrics.get("parameters"),
            "multiply_adds": metrics.get("multiply_adds"),
            "val_miou": metrics.get("val_miou"),
            "train_loss": last.get("train_loss", ""),
            "val_loss": last.get("val_loss", ""),
            "total_time_s": round(sum(seconds), 1) if seconds else None,
            "memory_mb": self.record.peak_rss_mb,
        }

    def file(self, file: str) -> Row:
        """Columns on a file that do not require running it."""
        row, certificate = self.scores.get(file, {}), self.certificates.get(file, ShownCertificate())
        size, whole = number(row, "size_bytes"), number(self.scores.get("torch", {}), "size_bytes")
        return {
            "size_bytes": row.get("size_bytes") or certificate.size_bytes or None,
            "gzip_bytes": row.get("gzip_bytes"),
            "times_smaller": round(whole / size, 3) if whole and size else None,
            "certified": certificate.verdict.passed,
            "certificate_agreement": certificate.differences.get("argmax_agreement"),
            "float_layers": " ".join(certificate.float_layers),
        }

    def failure(self, file: str) -> str:
        """Why the certificate of a file fails; empty if it holds or there is none."""
        return "; ".join(self.certificates.get(file, ShownCertificate()).verdict.failures)

    def individual(self, file: str) -> list[Row]:
        """A row for each image that the file was timed on; without tracemalloc, memory is the process's peak."""
        peak = self.scores.get(file, {}).get("peak_rss_mb")
        return [
            {
                "image": row["image"],
                "time_ms": row["time_ms"],
                "memory_mb": row["memory_mb"] or peak,
                "iou": row["iou"],
                "dice": row["dice"],
            }
            for row in self.pictures.get(file, [])
        ]

    def average(self, file: str, classes: Sequence[str]) -> Row:
        """Median time and memory, and mean IoU and Dice, over the timed images.

        `iou` and `dice` cover the whole test split, from one confusion matrix.
        """
        score, individual = self.scores.get(file, {}), self.individual(file)
        if not score or score.get("error") or not individual:
            return {}
        return {
            "pictures": len(individual),
            "time_ms": _middle(row["time_ms"] for row in individual),
            "latency_ms_min": score.get("latency_ms_min"),
            "load_ms": score.get("load_ms"),
            "memory_mb": _middle(row["memory_mb"] for row in individual),
            "noisy": score.get("noisy"),
            "iou": self._over_classes(file, "iou", classes),
            "dice": self._over_classes(file, "dice", classes),
            "iou_of_pictures": _mean(row["iou"] for row in individual),
            "dice_of_pictures": _mean(row["dice"] for row in individual),
            "images": score.get("images"),
            "argmax_agreement": score.get("argmax_agreement"),
            "size_bytes": score.get("size_bytes"),
        }

    def _over_classes(self, file: str, column: str, classes: Sequence[str]) -> float:
        known = [number(row, column) for row in self.classes.get(file, []) if row["class"] in classes]
        return mean_of(np.array([np.nan if value is None else value for value in known], np.float64))


def read_training(run: Path) -> TrainingRecord:
    """Reads a training's run folder; entries for missing files are empty."""
    certificates = {}
    for path in sorted((run / ARTIFACTS).glob(f"{STAGE}.*.json")):
        certificates[path.name.removeprefix(f"{STAGE}.").removesuffix(".json")] = _read(path, ShownCertificate)
    return TrainingRecord(
        card=read_card(run / STAGE) if is_checkpoint(run / STAGE) else None,
        curve=read_table(run / STAGE / "curves.csv"),
        record=_read(run / RECORD, TrainerRecord),
        scores={_file(row["artifact"]): row for row in read_table(run / "scores.csv", needed=("artifact",))},
        classes=_grouped(run / "per_class.csv", "artifact", "class"),
        pictures=_grouped(run / PICTURES, "file", "image", "time_ms", "memory_mb", "iou", "dice"),
        certificates=certificates,
    )


def _grouped(path: Path, column: str, *needed: str) -> dict[str, list[Mapping[str, str]]]:
    groups: dict[str, list[Mapping[str, str]]] = {}
    for row in read_table(path, needed=(column, *needed)):
        groups.setdefault(_file(row[column]), []).append(row)
    return groups


def _file(artifact: str) -> str:
    """`int8.tflite` for `artifacts/trained.int8.tflite`; `torch` for a checkpoint's weights."""
    if artifact.startswith(f"{STAGE}/"):
        return "torch"
    return artifact.rpartition("/")[2].removeprefix(f"{STAGE}.")


def _mean(values: Iterable[Any]) -> float:
    known = [float(value) for value in values if value not in (None, "")]
    return round(float(np.mean(known)), 6) if known else float("nan")


def _middle(values: Iterable[Any]) -> float:
    known = [float(value) for value in values if value not in (None, "")]
    return round(float(np.median(known)), 4) if known else float("nan")


def _read(path: Path, kind: type[Part]) -> Part:
    """What a JSON file of a training says, or the defaults if there is none."""
    remedy = "delete it to repeat the training"
    values = read_json(path, remedy=remedy) if path.is_file() else {}
    return build(kind, values, path=path, remedy=remedy, others_allowed=True)
