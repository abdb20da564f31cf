"""The columns of scores.csv, per_class.csv and per_image.csv, and the rows that fill them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from torchseg.data import Sample
from torchseg.harness.host import cpu_name
from torchseg.harness.latency import LatencyConfig
from torchseg.harness.measured import Measured
from torchseg.harness.runtime import CHECKPOINT_FILES
from torchseg.metrics import Overlap, overlap
from torchseg.spec import ImageSpec

Row = dict[str, object]
SCORE_COLUMNS = (
    "artifact", "stage", "format", "precision", "runtime", "runtime_version", "threads", "size_bytes",
    "gzip_bytes", "miou", "mean_dice", "pixel_accuracy", "mean_precision", "mean_recall", "latency_ms_median",
    "latency_ms_min", "latency_ms_p90", "load_ms", "peak_rss_mb", "argmax_agreement", "sparsity",
    "max_unique_weights", "certified",
    # the conditions that the numbers above travel with
    "sha256", "image_size", "batch", "warmup", "repeats", "rounds", "host", "arithmetic", "fast_path",
    "leftovers", "images",
    # against the checkpoint that the file was exported from, where that was timed in the same run
    "latency_ratio", "latency_ratio_low", "latency_ratio_high", "speed", "noisy", "boundary_miou", "error",
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
)
IMAGE_COLUMNS = ("artifact", "runtime", "image", "miou", "mean_dice", "pixel_accuracy")


def artifact_name(path: Path, out: Path) -> str:
    """The file's path inside the run folder, else its name: no table depends on where the run lies."""
    path = path.resolve()
    name = path.relative_to(out.resolve()) if path.is_relative_to(out.resolve()) else Path(path.name)
    return (name / CHECKPOINT_FILES[0] if path.is_dir() else name).as_posix()


def score_row(measured: Measured, spec: ImageSpec, out: Path, config: LatencyConfig) -> Row:
    """One row of scores.csv; a file that failed has an `error` in place of its accuracy."""
    row = _conditions(measured, spec, out, config)
    if measured.latency is not None:
        row |= {
            "latency_ms_median": round(measured.latency.median_ms, 3),
            "latency_ms_min": round(measured.latency.min_ms, 3),
            "latency_ms_p90": round(measured.latency.p90_ms, 3),
        }
        row["noisy"] = measured.latency.noisy
    if measured.ratio is not None:
        row |= {
            "latency_ratio": round(measured.ratio.value, 4),
            "latency_ratio_low": round(measured.ratio.low, 4),
            "latency_ratio_high": round(measured.ratio.high, 4),
            "speed": measured.ratio.verdict,
        }
    if measured.weights is not None:
        row["sparsity"] = round(measured.weights.sparsity, 6)
        row["max_unique_weights"] = measured.weights.max_unique_weights
    if measured.reason:
        return row | {"error": measured.reason.replace(f"{out}/", "")}
    scores = overlap(measured.counts)
    names = ("miou", "mean_dice", "pixel_accuracy", "mean_precision", "mean_recall")
    row |= {name: round(getattr(scores, name), 6) for name in names}
    row["argmax_agreement"] = None if measured.agreement is None else round(measured.agreement, 6)
    if measured.boundary is not None:
        row["boundary_miou"] = round(measured.boundary.miou, 6)
    return row


def _conditions(measured: Measured, spec: ImageSpec, out: Path, config: LatencyConfig) -> Row:
    artifact, info = measured.artifact, measured.info
    return {
        "artifact": artifact_name(artifact.path, out),
        "stage": artifact.stage,
        "format": artifact.format,
        "precision": artifact.precision,
        "certified": artifact.certified,
        "runtime": measured.process.name if measured.process else "",
        "runtime_version": info.version if info else "",
        "threads": config.threads,
        "size_bytes": measured.size_bytes,
        "gzip_bytes": measured.gzip_bytes,
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
        "images": len(measured.image_miou),
    }


def class_rows(measured: Measured, spec: ImageSpec, out: Path) -> Iterator[Row]:
    """One row of per_class.csv per class; none for a file that failed."""
    if measured.reason or measured.process is None:
        return
    scores = overlap(measured.counts)
    for index, name in enumerate(spec.classes):
        ratios = {key: _share(getattr(scores, key)[index]) for key in ("iou", "dice", "precision", "recall")}
        yield {
            "artifact": artifact_name(measured.artifact.path, out),
            "runtime": measured.process.name,
            "class_index": index,
            "class": name,
            "pixels": int(measured.counts[index].sum()),
            **ratios,
        }


def image_row(measured: Measured, sample: Sample, scores: Overlap, out: Path) -> Row:
    """One row of per_image.csv."""
    return {
        "artifact": artifact_name(measured.artifact.path, out),
        "runtime": measured.process.name if measured.process else "",
        "image": sample.name,
        "miou": _share(scores.miou),
        "mean_dice": _share(scores.mean_dice),
        "pixel_accuracy": _share(scores.pixel_accuracy),
    }


def _share(value: float) -> float:
    return round(float(value), 6)
