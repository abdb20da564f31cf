"""Recommends model files: the smallest and the fastest that are still accurate enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torchseg.harness.report.run_record import Row, number

BUDGET = 0.01  # mean IoU, in [0, 1], that may be given up for size or speed


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """The recommended files, out of those that lose at most `BUDGET` mean IoU against `baseline`."""

    baseline: Row
    smallest: Row
    fastest: Row


def recommend(rows: Sequence[Row]) -> Recommendation | None:
    """Chooses among the exported files that have scores and do not have a failed certificate.

    The baseline is the student's checkpoint; without a student the best checkpoint, without checkpoints the best file.

    Returns:
        None if nothing was exported or no file stays within the budget.
    """
    scored = [row for row in rows if number(row, "miou") is not None and row.get("certified") != "false"]
    exported = [row for row in scored if row["format"] != "torch" and number(row, "latency_ms_min") is not None]
    if not exported:
        return None
    checkpoints = [row for row in scored if row["format"] == "torch"]
    students = [row for row in checkpoints if row["stage"] == "student"]
    baseline = max(students or checkpoints or scored, key=lambda row: _value(row, "miou"))
    floor = _value(baseline, "miou") - BUDGET
    within = [row for row in exported if _value(row, "miou") >= floor]
    if not within:
        return None
    return Recommendation(
        baseline=baseline,
        smallest=min(within, key=lambda row: _value(row, "size_bytes")),
        fastest=min(within, key=lambda row: _value(row, "latency_ms_min")),
    )


def _value(row: Row, column: str) -> float:
    value = number(row, column)
    return float("inf") if value is None else value
