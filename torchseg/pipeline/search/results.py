"""The result of a search: one row a trial, and the best configuration as distill.py takes it."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import yaml

from torchseg.config import DistillConfig, SearchConfig
from torchseg.partial_file import partial_file
from torchseg.pipeline.search.budget import SearchBudget
from torchseg.pipeline.search.candidate import as_given, candidate
from torchseg.pipeline.search.record import TrialRecord

TABLE, BEST = "search.csv", "best.yaml"
_COLUMNS = ("trial", "status", "val_miou", "size_bytes", "max_bytes", "latency_ms_min", "max_ms", "multiply_adds")


def write_table(path: Path, records: Sequence[TrialRecord], config: SearchConfig, budget: SearchBudget) -> None:
    """Writes `search.csv`: what each trial was, what came of it and how it stands to the budget."""
    columns = [*_COLUMNS, *config.ranges, "seconds", "note"]
    with partial_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(_row(record, config, budget) for record in records)


def best_trial(records: Sequence[TrialRecord]) -> TrialRecord | None:
    """The most accurate trial within the budget, the first of equals; None if there is none."""
    done = [record for record in records if record.status == "done"]
    return max(done, key=lambda record: record.val_miou or 0.0) if done else None


def write_best(path: Path, best: TrialRecord, config: SearchConfig, *, epochs: int) -> None:
    """Writes the configuration of a trial for `scripts/distill.py --config`, with the teacher of the search."""
    changes = {
        "epochs": epochs,
        "teacher_checkpoint": config.run / "teacher",
        "out": config.run / "best",
    }
    chosen = dataclasses.replace(candidate(config, best.parameters), **changes)  # type: ignore[arg-type]
    values = {field.name: getattr(chosen, field.name) for field in dataclasses.fields(DistillConfig)}
    values = {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}
    del values["fresh"]
    note = (
        f"# Trial {best.number} of {config.run}: {100 * (best.val_miou or 0):.2f} % mean IoU on the validation part.\n"
    )
    path.write_text(note + yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def _row(record: TrialRecord, config: SearchConfig, budget: SearchBudget) -> dict[str, object]:
    """Empty where nothing is known: an untrained trial has no accuracy."""
    values = dict(record.parameters) if record.number else as_given(config, config.ranges)
    known: dict[str, object] = {
        "trial": record.number,
        "status": record.status,
        "val_miou": None if record.val_miou is None else round(record.val_miou, 6),
        "size_bytes": record.size_bytes,
        "max_bytes": budget.max_bytes,
        "latency_ms_min": None if record.latency_ms is None else round(record.latency_ms, 3),
        "max_ms": budget.max_ms,
        "multiply_adds": record.multiply_adds,
        "seconds": record.seconds,
        "note": record.note,
    }
    return {**values, **{name: value for name, value in known.items() if value is not None}}
