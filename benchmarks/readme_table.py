"""Writes the tables of a run between the markers of Markdown files.

    python benchmarks/readme_table.py runs/pets pets

The whole table, with epochs and minutes of each training and the IoU of each class, goes into
docs/reference/results.md, or into the file that a third argument names. README.md gets a few rows of it and the
paragraph that recommends a file, if it has markers for them: `pets-short` and `pets-headline`.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from marked_table import write_marked_table

from torchseg.harness.format import short_name
from torchseg.harness.report.markdown import markdown_table
from torchseg.harness.report.recommendation.facts import headline
from torchseg.harness.report.recommendation.recommend import recommend
from torchseg.harness.report.run_record import read_run

ROOT = Path(__file__).parents[1]
RESULTS, README = ROOT / "docs" / "reference" / "results.md", ROOT / "README.md"
CLASSES = ("teacher", "baseline", "student", "pruned", "clustered", "clustered.int8.onnx", "clustered.int8.tflite")
SHORT = (
    "teacher",
    "teacher.fp32.onnx",
    "clustered",
    "clustered.fp32.packed.onnx",
    "clustered.int8.packed.onnx",
    "clustered.int8.tflite",
)


def main() -> int:
    run, name = Path(sys.argv[1]), sys.argv[2]
    target = Path(sys.argv[3]) if len(sys.argv) > 3 else RESULTS
    try:
        table = markdown_table(run / "scores.csv").strip()
        write_marked_table(target, name, f"{_trainings(run)}\n\n{table}\n\n{_classes(run)}")
        readme = README.read_text(encoding="utf-8")
        for marker, text in ((f"{name}-short", _short(table)), (f"{name}-headline", _headline(run))):
            if f"<!-- table: {marker} -->" in readme:
                write_marked_table(README, marker, text)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _trainings(run: Path) -> str:
    """Epochs, steps and minutes of every training in the run."""
    parts = []
    for curve in sorted(run.glob("*/curves.csv"), reverse=True):
        with curve.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        minutes = sum(float(row["seconds"]) for row in rows) / 60
        parts.append(
            f"{curve.parent.name} {rows[-1]['epoch']} epochs ({rows[-1]['step']} steps, {minutes:.1f} minutes)"
        )
    return "Trained: " + ", ".join(parts) + "."


def _classes(run: Path) -> str:
    """The IoU of each class in %, for the networks of the run and its int8 files."""
    names: dict[str, None] = {}
    found: dict[str, dict[str, str]] = {}
    for row in read_run(run).classes:
        if row["class_index"] and row["iou"]:
            names[row["class"]] = None
            found.setdefault(short_name(row["artifact"]), {})[row["class"]] = f"{100 * float(row['iou']):.1f}"
    rows = [["IoU in %", *names], ["---", *["---:"] * len(names)]]
    rows += [[name, *(found[name].get(each, "") for each in names)] for name in CLASSES if name in found]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _short(table: str) -> str:
    """Titles, the rows of `SHORT` in that order, and the conditions."""
    lines = table.splitlines()
    rows = {line.split("|")[1].strip(): line for line in lines[2:] if line.startswith("|")}
    return "\n".join([*lines[:2], *(rows[name] for name in SHORT if name in rows), "", lines[-1]])


def _headline(run: Path) -> str:
    """The file that summary and report recommend, against the teacher."""
    record = read_run(run)
    found = recommend(record.scores, target=record.target)
    if found is None:
        raise ValueError(f"{run} has no scored model files; expected a run of distill")
    return headline(found)


if __name__ == "__main__":
    sys.exit(main())
