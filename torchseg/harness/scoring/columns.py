"""Columns and rows of the tables that scoring writes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from torchseg.data import Sample
from torchseg.harness.host import cpu_name
from torchseg.harness.runtimes.base import RuntimeInfo
from torchseg.harness.scoring.latency import LatencyConfig
from torchseg.harness.scoring.measurement import Measured
from torchseg.metrics import Overlap, overlap, precision_recall
from torchseg.spec import ImageSpec

Row = dict[str, object]
SCORE_COLUMNS = (
    "artifact", "stage", "format", "precision", "runtime", "runtime_version", "threads", "size_bytes",
    "gzip_bytes", "miou", "mean_dice", "pixel_accuracy", "mean_precision", "mean_recall", "latency_ms_median",
    "latency_ms_min", "latency_ms_p90", "load_ms", "peak_rss_mb", "argmax_agreement", "sparsity",
    "max_unique_weights", "certified",
    # conditions under which the numbers above were measured
    "sha256", "image_size", "batch", "warmup", "repeats", "rounds", "host", "arithmetic", "fast_path",
    "leftovers", "images",
    # compared with the checkpoint that the file was exported from, or with --against, timed in the same run
    "latency_ratio", "latency_ratio_low", "latency_ratio_high", "speed", "noisy", "boundary_miou", "error",
    "against", "miou_difference", "miou_difference_low", "miou_difference_high", "accuracy",
    # further costs, and the share of the CPU's peak
    "zstd_bytes", "multiply_adds", "peak_share", "mean_average_precision",
    # how the output of the file was read, and the split that the accuracy is that of
    "output_kind", "note", "split",
)  # fmt: skip
SCORE_TEXTS = (  # those of them that are text
    "artifact", "stage", "format", "precision", "runtime", "runtime_version", "sha256", "image_size", "host",
    "arithmetic", "fast_path", "leftovers", "speed", "error", "against", "accuracy",
    "output_kind", "note", "split",
)  # fmt: skip
CLASS_COLUMNS = (
    "artifact",
    "runtime",
    "class_index",
    "class",
    "pixels",
    "iou",
    "dice",
    "precision",
    "recall",
    "average_precision",
    "split",
)
CONFUSION = "figures/confusion.json"  # in a scored folder
MEASURES = {"dice": "mean_dice", "iou": "miou", "precision": "mean_precision", "recall": "mean_recall"}
"""The measures of one class, each with the name of its mean over the classes that occur."""
MEAN = "mean"  # in the column `class`: the row of the means
IMAGE_COLUMNS = ("artifact", "runtime", "image", "miou", "mean_dice", "pixel_accuracy", "split")
CURVE_COLUMNS = ("artifact", "runtime", "class", "threshold", "precision", "recall", "split")
_CURVE_STEP = 0.01  # in recall or precision, in [0, 1]: closer points are left out


def score_row(measured: Measured, spec: ImageSpec, out: Path, config: LatencyConfig) -> Row:
    """One row of scores.csv; a file that failed has an `error` instead of accuracy."""
    row = _conditions(measured, config) | _times(measured)
    if measured.weights is not None:
        row["sparsity"] = round(measured.weights.sparsity, 6)
        row["max_unique_weights"] = measured.weights.max_unique_weights
    if measured.reason:
        return row | {"error": measured.reason.replace(f"{out}/", "")}
    accumulator = measured.accumulator
    scores = overlap(accumulator.counts)
    names = ("miou", "mean_dice", "pixel_accuracy", "mean_precision", "mean_recall")
    row |= {name: _share(getattr(scores, name)) for name in names}
    row["argmax_agreement"] = None if accumulator.agreement is None else _share(accumulator.agreement)
    row["boundary_miou"] = None if accumulator.boundary is None else _share(accumulator.boundary.miou)
    averages = [each for each in _average_precision(measured, spec) if not math.isnan(each)]
    row["mean_average_precision"] = _share(float(np.mean(averages))) if averages else None
    if measured.difference is not None:
        row |= {
            "miou_difference": _share(measured.difference.value),
            "miou_difference_low": _share(measured.difference.low),
            "miou_difference_high": _share(measured.difference.high),
            "accuracy": measured.difference.verdict,
        }
    return row


def _conditions(measured: Measured, config: LatencyConfig) -> Row:
    artifact, info, spec = measured.artifact, measured.info, measured.spec
    return {
        "artifact": measured.name,
        "stage": artifact.stage,
        "format": artifact.format,
        "precision": artifact.precision,
        "certified": artifact.certified,
        "runtime": _runtime(measured),
        "runtime_version": info.version if info else "",
        "threads": measured.threads,
        "size_bytes": measured.size_bytes,
        "gzip_bytes": measured.gzip_bytes,
        "zstd_bytes": measured.zstd_bytes,
        "multiply_adds": measured.multiply_adds,
        "load_ms": None if measured.load_ms is None else round(measured.load_ms, 2),
        "peak_rss_mb": None if measured.peak_rss_mb is None else round(measured.peak_rss_mb, 1),
        "sha256": measured.sha256,
        "image_size": f"{spec.height}x{spec.width}",
        "batch": 1,
        "warmup": config.warmup,
        "repeats": config.repeats,
        "rounds": config.rounds if measured.latency is None else len(measured.latency.recorded_ms),
        "host": cpu_name(),
        "arithmetic": info.arithmetic if info else "",
        "fast_path": info.fast_path if info else "",
        "leftovers": " ".join(info.leftovers) if info else "",
        "images": len(measured.accumulator.image_miou),
        "output_kind": measured.output_kind,
        "note": _note(info) if info else "",
        "split": measured.split,
    }


def _note(info: RuntimeInfo) -> str:
    """What a reader of the row should know of how the file was run; empty for most files."""
    size = info.input_shape[0] if info.input_shape else None
    batch = f"the file takes {size} images at a time, so its latency is that of {size}" if size and size > 1 else ""
    return "; ".join(filter(None, (batch, info.note)))


def _times(measured: Measured) -> Row:
    row: Row = {"against": measured.baseline}
    if measured.latency is not None:
        row |= {
            "latency_ms_median": round(measured.latency.median_ms, 3),
            "latency_ms_min": round(measured.latency.min_ms, 3),
            "latency_ms_p90": round(measured.latency.p90_ms, 3),
            "noisy": measured.latency.noisy,
            "peak_share": None if measured.peak_share is None else round(measured.peak_share, 4),
        }
    if measured.ratio is not None:
        row |= {
            "latency_ratio": round(measured.ratio.value, 4),
            "latency_ratio_low": round(measured.ratio.low, 4),
            "latency_ratio_high": round(measured.ratio.high, 4),
            "speed": measured.ratio.verdict,
        }
    return row


def class_rows(measured: Measured, spec: ImageSpec) -> Iterator[Row]:
    """One row of per_class.csv per class, then one of their means; none for a file that failed."""
    if measured.reason:
        return
    scores = overlap(measured.accumulator.counts)
    averages = _average_precision(measured, spec)
    for index, name in enumerate(spec.classes):
        ratios = {key: _share(getattr(scores, key)[index]) for key in MEASURES}
        yield {
            "artifact": measured.name,
            "runtime": _runtime(measured),
            "class_index": index,
            "class": name,
            "pixels": int(measured.accumulator.counts[index].sum()),
            **ratios,
            "average_precision": _share(averages[index]),
            "split": measured.split,
        }
    known = [each for each in averages if not math.isnan(each)]
    yield {
        "artifact": measured.name,
        "runtime": _runtime(measured),
        "class": MEAN,
        "pixels": int(measured.accumulator.counts.sum()),
        **{key: _share(getattr(scores, mean)) for key, mean in MEASURES.items()},
        "average_precision": _share(float(np.mean(known))) if known else None,
        "split": measured.split,
    }


def curve_rows(measured: Measured, spec: ImageSpec) -> Iterator[Row]:
    """Rows of precision_recall.csv: each class's curve by rising recall, thinned to steps of about `_CURVE_STEP`."""
    if measured.reason or measured.accumulator.scores is None:
        return
    for name, curve in zip(spec.classes, precision_recall(measured.accumulator.scores), strict=True):
        points = np.stack([curve.threshold, curve.precision, curve.recall], axis=1)
        last = np.full(3, np.inf)
        for at, point in enumerate(points):
            if at == len(points) - 1 or np.abs(point[1:] - last[1:]).max() >= _CURVE_STEP:
                last = point
                values = dict(zip(("threshold", "precision", "recall"), map(_share, point), strict=True))
                row: Row = {"artifact": measured.name, "runtime": _runtime(measured), "class": name}
                yield row | values | {"split": measured.split}


def image_row(measured: Measured, sample: Sample, scores: Overlap) -> Row:
    """One row of per_image.csv."""
    return {
        "artifact": measured.name,
        "runtime": _runtime(measured),
        "image": sample.name,
        "miou": _share(scores.miou),
        "mean_dice": _share(scores.mean_dice),
        "pixel_accuracy": _share(scores.pixel_accuracy),
        "split": measured.split,
    }


def _average_precision(measured: Measured, spec: ImageSpec) -> list[float]:
    if measured.accumulator.scores is None:
        return [math.nan] * spec.num_classes
    return [curve.average_precision for curve in precision_recall(measured.accumulator.scores)]


def _runtime(measured: Measured) -> str:
    return measured.process.name if measured.process else measured.artifact.runtime or ""


def _share(value: float) -> float:
    return round(float(value), 6)
