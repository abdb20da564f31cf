"""The few lines that a command ends with: what was made, where it is, what to run next."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from torchseg.pipeline.run_folder import RunFolder

_COLUMNS = (
    ("file", "artifact", "{}"),
    ("mean IoU %", "miou", "{:.2f}"),
    ("agreement %", "argmax_agreement", "{:.3f}"),
    ("ms (min)", "latency_ms_min", "{:.2f}"),
    ("kB", "size_bytes", "{:.0f}"),
    ("certified", "certified", "{}"),
)
_SCALES = {"miou": 100.0, "argmax_agreement": 100.0, "size_bytes": 1e-3}


def print_summary(folder: RunFolder, ran: Sequence[str], *, last: str, problems: Sequence[str], seconds: float) -> None:
    """Prints the table of scores and the way on; `last` is the stage whose files are the result."""
    path = folder.path
    if not ran and not problems:
        print(f"Nothing to do: {path} is complete and its inputs have not changed ({seconds:.0f} s).")
    else:
        print(f"\nDone in {seconds / 60:.1f} minutes: {', '.join(ran) or 'nothing new'}")
    print("\n" + "\n".join(table_lines(path / "scores.csv")))
    for problem in problems:
        print(f"\nFAILED: {problem}")
    print(f"\n  report   {path / 'report.html'}")
    print(f"  files    {path / 'artifacts'}")
    files = [each for kind in ("onnx", "tflite") for each in sorted((path / "artifacts").glob(f"{last}.*.{kind}"))]
    if files:
        best = min(files, key=lambda each: ".fp32." not in each.name)
        print(f"  next     python scripts/predict.py {best} PICTURE...")


def table_lines(scores: Path) -> list[str]:
    """The main columns of `scores.csv`, aligned, one line per row; nothing if there is no table."""
    if not scores.is_file():
        return []
    with scores.open(newline="") as file:
        rows = [[_cell(row, key, form) for _, key, form in _COLUMNS] for row in csv.DictReader(file)]
    table = [[title for title, _, _ in _COLUMNS], *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(_COLUMNS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def _cell(row: dict[str, str], key: str, form: str) -> str:
    value = row.get(key, "")
    if not value or form == "{}":
        return value or "-"
    return form.format(float(value) * _SCALES.get(key, 1.0))
