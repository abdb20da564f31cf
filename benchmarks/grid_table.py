"""Writes the main effects of a finished grid, as a table and a figure, into a Markdown file.

    python benchmarks/grid_table.py runs/unet12-small unet12 docs/explanation/recipes.md

The table goes between the markers of that name; the figure goes into a folder next to the file, named after it.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from marked_table import write_marked_table

from torchseg.harness.csv_table import read_table

HEAD = {"iou": "IoU, points", "time_ms": "time", "memory_mb": "memory", "size_bytes": "size"}
FIGURE = "main_effects.png"


def main() -> int:
    run, name, target = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    effects = read_table(run / "main_effects.csv")
    cells = {(row["factor"], row["level"], row["against"], row["metric"]): _cell(row) for row in effects}
    lines = [f"| factor | level | {' | '.join(HEAD.values())} |", "|---|---|" + "---:|" * len(HEAD)]
    for factor, level, against in dict.fromkeys(key[:3] for key in cells):
        shown = " | ".join(cells.get((factor, level, against, metric), "") for metric in HEAD)
        lines.append(f"| {factor} | {level} against {against} | {shown} |")
    trained = read_table(run / "trained_models_info.csv")
    minutes = sum(float(row["total_time_s"]) for row in trained) / 60
    lines += ["", f"{len(trained)} trainings that took {minutes:.0f} minutes in all, added up."]
    folder = target.with_suffix("")
    folder.mkdir(exist_ok=True)
    shutil.copy(run / "figures" / FIGURE, folder / f"{name}-{FIGURE}")
    lines += ["", f"![main effects of {name}]({folder.name}/{name}-{FIGURE})"]
    write_marked_table(target, name, "\n".join(lines))
    return 0


def _cell(row: dict[str, str]) -> str:
    """An effect with its interval, if there is one: ratios as they are, differences of shares in points."""
    form, scale = (".2f", 1) if row["kind"] == "ratio" else ("+.2f", 100)
    effect, low, high = (f"{scale * float(row[key]):{form}}" for key in ("effect", "low", "high"))
    return effect if "nan" in low else f"{effect} ({low} to {high})"


if __name__ == "__main__":
    sys.exit(main())
