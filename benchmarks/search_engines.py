"""Compares the best of eight trials of each search engine with the configuration as given, at equal epochs, on scenes.

    python benchmarks/search_engines.py --out FOLDER --table FILE.md

Both searches distil from the same teacher. The best trial is chosen on the validation split, where the best of nine
looks better than it is. The table therefore also shows the test split, which no search uses. A stopped search resumes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from show_table import show_table

from scripts.search import main as search
from torchseg.checkpoint import load_checkpoint
from torchseg.config import SEARCH_ENGINES
from torchseg.data import GENERATED, open_data
from torchseg.harness.host import cpu_name
from torchseg.pipeline.search.record import TrialRecord, TrialRecords, stage_of
from torchseg.pipeline.search.results import best_trial
from torchseg.train import evaluate


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="Folder of the searches.")
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--teacher", type=Path, help="Checkpoint to distil from. Default: the first search trains it.")
    parser.add_argument("--table", type=Path, help="Markdown file for the table.")
    arguments = parser.parse_args()
    rows, teacher = [], arguments.teacher
    for engine in SEARCH_ENGINES:
        run = arguments.out / engine
        flags = ["--engine", engine, "--out", str(run), "--trials", str(arguments.trials)]
        flags += ["--epochs", str(arguments.epochs), "--threads", str(arguments.threads)]
        if code := search([*flags, *(["--teacher_checkpoint", str(teacher)] if teacher else [])]):
            return code
        teacher = teacher or run / "teacher"
        rows += _rows(engine, run)
    show_table(
        "| engine | trial | validation mean IoU | test mean IoU | configuration |\n|---|---:|---:|---:|---|\n"
        + "\n".join(rows)
        + f"\n\nScenes, {arguments.trials} trials beside the one as given, {arguments.epochs} epochs each; "
        f"{cpu_name()}.",
        arguments.table,
    )
    return 0


def _rows(engine: str, run: Path) -> list[str]:
    ended = TrialRecords(run).ended()
    best = best_trial(ended)
    given = next(record for record in ended if record.number == 0)
    shown = [given] if best is None or best.number == 0 else [given, best]
    return [_row(engine, run, record) for record in shown]


def _row(engine: str, run: Path, record: TrialRecord) -> str:
    model, card = load_checkpoint(run / stage_of(record.number))
    test = evaluate(model, open_data(GENERATED, None, size=(card.spec.height, card.spec.width)).test, card.spec).miou
    chosen = ", ".join(f"{name} {value}" for name, value in record.parameters.items()) or "as given"
    accuracy = f"{100 * (record.val_miou or 0):.2f} | {100 * test:.2f}"
    return f"| {engine} | {record.number} | {accuracy} | {chosen} |"


if __name__ == "__main__":
    sys.exit(main())
