"""Writes the score table of a run, with its epochs and training minutes, between the markers of a Markdown file.

python benchmarks/readme_table.py runs/pets pets README.md
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from marked_table import write_marked_table

from torchseg.harness.report.markdown import markdown_table


def main() -> int:
    run, name, target = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    try:
        write_marked_table(target, name, f"{_trainings(run)}\n\n{markdown_table(run / 'scores.csv').strip()}")
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


if __name__ == "__main__":
    sys.exit(main())
