"""What the folds of a cross-validation scored: mean and spread of every class, for each network and file."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from torchseg.harness.csv_table import read_table, write_rows
from torchseg.harness.format import aligned, short_name
from torchseg.harness.report.rare_classes import MARK, few, rare_text
from torchseg.harness.report.run_record import number
from torchseg.harness.scoring.columns import MEAN, MEASURES
from torchseg.pipeline.run.dataset import read_report

TABLE, SPLIT_TABLE = "folds.csv", "splits.csv"
_NUMBERS = ("mean", "std", "lowest", "highest")
COLUMNS = (
    "artifact",
    "runtime",
    "class",
    "pixels",
    *(f"{each}_{kind}" for each in MEASURES for kind in _NUMBERS),
    "folds",
)
Row = dict[str, str | float | int]


def fold_folder(out: Path, number: int) -> Path:
    """The run folder of one fold, counted from 1."""
    return out / f"fold{number}"


def write_folds(out: Path, runs: Sequence[Path]) -> list[Row]:
    """Writes `folds.csv` and `splits.csv` to `out`, and returns the rows of the first.

    Shares are in [0, 1]. The spread is the standard deviation over the folds (n - 1). A fold whose test split does not
    show a class does not count for it: `folds` says how many do.
    """
    write_rows(out / SPLIT_TABLE, ("image", "test_fold"), _splits(runs))
    values: dict[tuple[str, str, str, str], list[Mapping[str, str]]] = defaultdict(list)
    for run in runs:
        for row in read_table(run / "per_class.csv"):  # the row of the means has no index
            values[row["artifact"], row["runtime"], row["class_index"], row["class"]].append(row)
    rows = [_row(artifact, runtime, name, found) for (artifact, runtime, _, name), found in values.items()]
    write_rows(out / TABLE, COLUMNS, rows)
    return rows


def _splits(runs: Sequence[Path]) -> list[Row]:
    found: list[Row] = []
    for at, run in enumerate(runs, start=1):
        names = read_report(run, remedy="run the fold again").test.names
        found += [{"image": name, "test_fold": at} for name in names]
    return sorted(found, key=lambda row: str(row["image"]))


def _row(artifact: str, runtime: str, name: str, found: Sequence[Mapping[str, str]]) -> Row:
    row: Row = {"artifact": artifact, "runtime": runtime, "class": name}
    for measure in MEASURES:
        known = [share for each in found if (share := number(each, measure)) is not None]
        if known:
            spread = statistics.stdev(known) if len(known) > 1 else 0.0
            numbers = (statistics.fmean(known), spread, min(known), max(known))
            row |= {f"{measure}_{kind}": round(each, 6) for kind, each in zip(_NUMBERS, numbers, strict=True)}
    pixels = [int(count) for each in found if (count := number(each, "pixels")) is not None]
    if pixels:  # the row of the means has none
        row["pixels"] = sum(pixels)
    row["folds"] = sum(number(each, "iou") is not None for each in found)
    return row


def fold_lines(rows: Sequence[Row], artifacts: Sequence[str], *, folds: int) -> list[str]:
    """IoU of every class and mean IoU, in percent, as mean ± standard deviation over the folds.

    The mean is marked if one of its classes has few pixels in all folds together, and a line below says which.

    Args:
        rows: of `write_folds`.
        artifacts: the columns.
        folds: how many there are; a cell that fewer of them count for says so.
    """
    cells = {(row["artifact"], row["class"]): _cell(row, folds) for row in rows}
    classes = list(dict.fromkeys(str(row["class"]) for row in rows if row["class"] != MEAN))
    table = [[name, *(cells.get((each, name), "-") for each in artifacts)] for name in [*classes, MEAN]]
    rare = few({str(row["class"]): int(row["pixels"]) for row in rows if "pixels" in row})
    if rare:
        table[-1][0] += f" {MARK}"
    lines = aligned([["IoU, %", *map(short_name, artifacts)], *table])
    return [*lines, *([f"{MARK} {rare_text(rare)}"] if rare else [])]


def _cell(row: Row, folds: int) -> str:
    if "iou_mean" not in row:
        return "-"
    fewer = f" ({row['folds']} folds)" if row["folds"] != folds else ""
    return f"{100 * float(row['iou_mean']):.1f} ± {100 * float(row['iou_std']):.1f}{fewer}"
