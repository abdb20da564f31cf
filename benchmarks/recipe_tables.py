"""Makes the tables and figures of docs/explanation/recipes.md from finished runs; `recipes.py` writes them there."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from torchseg.checkpoint import read_card
from torchseg.data import Sample
from torchseg.harness.drawing import comparison
from torchseg.harness.report.run_record import chain_rank
from torchseg.metrics import confusion_matrix, overlap

# Figures of each story: figures of the run, and `masks`, a sheet with the predictions of its networks.
FIGURES = {
    "prune-cluster": ("curves", "precision_recall", "masks"),
    "kd-levelprune": ("curves", "masks"),
    "pipeline": ("tradeoffs",),
    "driving": ("curves", "masks"),
}
_OPTIMIZER_COPIES = 2  # AdamW stores two moments per parameter
_BYTES = 4
_WIDEST = 1280  # pixels
Row = dict[str, str]


def stage_table(runs: Sequence[Path]) -> str:
    """Scores of every checkpoint on the whole test split; those taken over from an earlier run are not repeated."""
    lines = [
        "| run | network | mean IoU | mean Dice | pixels right | average precision | zeros | values | gzip |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    seen: set[str] = set()
    for run in runs:
        rows = [row for row in _rows(run / "scores.csv") if row["format"] == "torch" and row["sha256"] not in seen]
        seen |= {row["sha256"] for row in rows}
        for row in sorted(rows, key=lambda row: chain_rank(row["stage"])):
            shares = (row[name] for name in ("miou", "mean_dice", "pixel_accuracy", "mean_average_precision"))
            values = row["max_unique_weights"] if int(row["max_unique_weights"]) <= 256 else ""
            cells = [run.name, row["stage"], *map(_percent, shares), _percent(row["sparsity"]), values]
            lines.append(f"| {' | '.join([*cells, _kilobytes(float(row['gzip_bytes']))])} |")
    conditions = _rows(runs[0] / "scores.csv")[0]
    return "\n".join([*lines, "", f"{conditions['images']} test images of {conditions['image_size']}."])


def size_table(run: Path) -> str:
    """How much smaller the files are: as counted in the publication, and as counted correctly."""
    rows = {row["artifact"]: row for row in _rows(run / "scores.csv")}
    dense = rows["student/model.safetensors"]
    raw, packed = float(dense["size_bytes"]), float(dense["gzip_bytes"])
    trained = raw + _OPTIMIZER_COPIES * _BYTES * read_card(run / "student").metrics["parameters"]
    lines = [
        "| file | bytes | gzip | as published | bytes to bytes | gzip to gzip | mean IoU | time, minimum |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        f"| student with its optimizer's state | {_kilobytes(trained)} | | 1.0 | | | | |",
        f"| student | {_kilobytes(raw)} | {_kilobytes(packed)} | | 1.0 | 1.0 | {_percent(dense['miou'])} "
        f"| {float(dense['latency_ms_min']):.2f} ms |",
    ]
    for name, row in rows.items():
        if row["format"] == "torch" or row["stage"] != "pruned":
            continue
        size, gzip = float(row["size_bytes"]), float(row["gzip_bytes"])
        ratios = " | ".join(f"{ratio:.1f}" for ratio in (trained / gzip, raw / size, packed / gzip))
        lines.append(
            f"| {Path(name).name} | {_kilobytes(size)} | {_kilobytes(gzip)} | {ratios} | {_percent(row['miou'])} "
            f"| {float(row['latency_ms_min']):.2f} ms |"
        )
    return "\n".join(lines)


def truth_table(run: Path, stage: str) -> str:
    """Scores of every class on the whole test split, and on the single image with the best prediction."""
    checkpoint = f"{stage}/model.safetensors"
    best = _gallery(run)["samples"][0]
    classes = _gallery(run)["classes"]
    single = overlap(
        confusion_matrix(
            _labels(run / best["labels"][checkpoint]), _labels(run / best["truth"]), num_classes=len(classes)
        )
    )
    lines = [
        "| class | Dice | IoU | precision | recall | Dice of one image | IoU | precision | recall |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in _rows(run / "per_class.csv"):
        if row["artifact"] == checkpoint and row["class_index"]:  # the row of the means has none
            at = int(row["class_index"])
            alone = (values[at] for values in (single.dice, single.iou, single.precision, single.recall))
            cells = [*(_percent(row[name]) for name in ("dice", "iou", "precision", "recall"))]
            cells += ["" if np.isnan(share) else _percent(share) for share in alone]
            lines.append(f"| {' | '.join([row['class'], *cells])} |")
    mean = next(row for row in _rows(run / "scores.csv") if row["artifact"] == checkpoint)
    whole = [_percent(mean[name]) for name in ("mean_dice", "miou", "mean_precision", "mean_recall")]
    one = [_percent(share) for share in (single.mean_dice, single.miou, single.mean_precision, single.mean_recall)]
    return "\n".join([*lines, f"| mean | {' | '.join([*whole, *one])} |"])


def copy_figures(name: str, run: Path, folder: Path) -> str:
    """Copies the figures of a story into the folder and returns the Markdown that shows them."""
    folder.mkdir(exist_ok=True)
    shown = []
    for figure in FIGURES[name]:
        target = folder / f"{name}-{figure}.png"
        picture = _masks(run) if figure == "masks" else Image.open(run / "figures" / f"{figure}.png").convert("RGB")
        picture.thumbnail((_WIDEST, _WIDEST))
        picture.quantize(256).save(target, optimize=True)  # keeps the repository small
        shown.append(f"![{figure.replace('_', ' ')} of {run.name}]({folder.name}/{target.name})")
    return "\n\n".join(shown)


def _masks(run: Path) -> Image.Image:
    """The predictions of every checkpoint for the median image of the gallery, next to the true mask.

    The image itself is replaced by grey, because it belongs to others.
    """
    gallery = _gallery(run)
    sample = next(each for each in gallery["samples"] if each["rank"] == "median")
    truth = _labels(run / sample["truth"])
    picture = np.full((*truth.shape, 3), 128, np.uint8)
    stages = sorted((each for each in sample["labels"] if each.endswith("safetensors")), key=_rank)
    answers = {name.split("/")[0]: _labels(run / sample["labels"][name]) for name in stages}
    spec = read_card(run / "student").spec
    return comparison(Sample(name=sample["name"], picture=picture, mask=truth), answers, spec)


def _rank(artifact: str) -> tuple[int, str]:
    return chain_rank(artifact.split("/")[0])


def _gallery(run: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((run / "figures/gallery.json").read_text(encoding="utf-8"))
    return values


def _labels(path: Path) -> NDArray[np.uint8]:
    return np.asarray(Image.open(path))


def _rows(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _percent(share: str | float) -> str:
    return f"{100 * float(share):.2f} %" if share != "" else ""


def _kilobytes(size: float) -> str:
    return f"{size / 1000:,.0f} kB"
