"""The result of a search: a table with one row per trial, the best configuration for distill.py, and a figure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from torchseg.atomic_file import partial_file, save_text
from torchseg.config import DistillConfig, SearchConfig
from torchseg.config.search import Range, Space
from torchseg.harness.csv_table import CRLF, write_rows
from torchseg.pipeline.search.budget import SearchBudget
from torchseg.pipeline.search.candidate import as_given, candidate
from torchseg.pipeline.search.record import TrialRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes


TABLE, BEST = "search.csv", "best.yaml"
_COLUMNS = ("trial", "status", "val_miou", "size_bytes", "max_bytes", "latency_ms_min", "max_ms", "multiply_adds")

_FIGURE_COLUMNS = 4
_TRIAL, _BEST, _GIVEN = "#0072B2", "#D55E00", "#8A8A8A"


def write_table(path: Path, records: Sequence[TrialRecord], config: SearchConfig, budget: SearchBudget) -> None:
    """Writes `search.csv`: each trial's parameters, its result, and its cost next to the budget."""
    columns = [*_COLUMNS, *config.ranges, "seconds", "note"]
    write_rows(path, columns, (_row(record, config, budget) for record in records), line_end=CRLF)


def best_trial(records: Sequence[TrialRecord]) -> TrialRecord | None:
    """The most accurate trial within the budget, the first one in a tie; None if there is none."""
    done = [record for record in records if record.status == "done"]
    return max(done, key=lambda record: record.val_miou or 0.0) if done else None


def write_best(path: Path, best: TrialRecord, config: SearchConfig, *, epochs: int) -> None:
    """Writes the configuration of a trial for `scripts/distill.py --config`, with the teacher of the search."""
    changes = {
        "epochs": epochs,
        "teacher_checkpoint": config.run / "teacher",
        "teacher_rounds": 1,  # a given teacher is not trained
        "out": config.run / "best",
    }
    chosen = dataclasses.replace(candidate(config, best.parameters), **changes)  # type: ignore[arg-type]
    values = {field.name: getattr(chosen, field.name) for field in dataclasses.fields(DistillConfig)}
    values = {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}
    del values["fresh"]
    note = (
        f"# Trial {best.number} of {config.run}: {100 * (best.val_miou or 0):.2f} % mean IoU on the validation split.\n"
    )
    save_text(path, note + yaml.safe_dump(values, sort_keys=False))


def _row(record: TrialRecord, config: SearchConfig, budget: SearchBudget) -> dict[str, object]:
    """The row of one trial; cells stay empty where nothing was measured."""
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
    parameters = {name: str(value) for name, value in values.items()}  # a boolean as Python writes it
    return {**parameters, **{name: value for name, value in known.items() if value is not None}}


def save_search_figure(path: Path, records: Sequence[TrialRecord], space: Space, budget: SearchBudget) -> None:
    """Draws the figure; trials that were not trained appear only in the panel over trial numbers, as dotted lines."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels: list[Callable[[Axes], None]] = [
        lambda axes: _draw_trials(axes, records),
        lambda axes: _draw_cost(axes, records, budget),
        *(lambda axes, name=name: _draw_parameter(axes, records, name, space) for name in space),
    ]
    rows = -(-len(panels) // _FIGURE_COLUMNS)
    figure = Figure(figsize=(3.6 * _FIGURE_COLUMNS, 3.0 * rows), layout="constrained")  # never pyplot: no global state
    FigureCanvasAgg(figure)
    for at, draw in enumerate(panels):
        axes = figure.add_subplot(rows, _FIGURE_COLUMNS, at + 1)
        draw(axes)
        axes.set_ylabel("validation mean IoU (%)")
        axes.grid(visible=True, alpha=0.3)
    with partial_file(path) as partial:
        figure.savefig(partial, dpi=110)


def _draw_trials(axes: Axes, records: Sequence[TrialRecord]) -> None:
    from matplotlib.ticker import MaxNLocator

    tried = [record for record in records if record.number]
    known = [100 * record.val_miou if record.val_miou is not None else math.nan for record in tried]
    best = np.fmax.accumulate(known) if known else known
    axes.step([each.number for each in tried], best, where="post", color=_BEST, label="best so far")
    _scatter(axes, tried, [each.number for each in tried])
    for record in records:
        if record.number == 0 and record.val_miou is not None:
            axes.axhline(100 * record.val_miou, color=_GIVEN, linestyle="--", label="as given")
        elif record.val_miou is None:
            axes.axvline(record.number, color=_GIVEN, linestyle=":")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trial (dotted: over budget or failed)")
    axes.legend(fontsize=7)


def _draw_cost(axes: Axes, records: Sequence[TrialRecord], budget: SearchBudget) -> None:
    timed = budget.max_ms is not None
    costs = [record.latency_ms if timed else (record.size_bytes or 0) / 1e3 for record in records]
    _scatter(axes, records, costs)
    most = budget.max_ms if timed else (budget.max_bytes or 0) / 1e3
    axes.axvline(most or 0.0, color=_GIVEN, linestyle="--", label="budget")
    axes.set_xlabel("latency, minimum (ms)" if timed else "size (kB)")
    axes.legend(fontsize=7)


def _draw_parameter(axes: Axes, records: Sequence[TrialRecord], name: str, space: Space) -> None:
    """Shows the whole range on the axis, so that gaps in the search are visible."""
    tried = [record for record in records if record.number and name in record.parameters]
    chosen, values = [record.parameters[name] for record in tried], space[name]
    if isinstance(values, Range):
        _scatter(axes, tried, chosen)
        axes.set_xscale("log" if values.log else "linear")
        axes.set_xlim(values.low, values.high)
        ticks = (np.geomspace if values.log else np.linspace)(values.low, values.high, 5)
        axes.set_xticks(ticks, [f"{tick:.2g}" for tick in ticks])
        axes.set_xticks([], minor=True)
    else:
        _scatter(axes, tried, [values.values.index(value) for value in chosen])
        axes.set_xticks(range(len(values.values)), [str(value) for value in values.values])
    axes.set_xlabel(name)


def _scatter(axes: Axes, records: Sequence[TrialRecord], places: Sequence[Any]) -> None:
    """Draws a point for each trained trial."""
    shown = [(x, record) for x, record in zip(places, records, strict=True) if record.val_miou is not None]
    best = max((record.val_miou or 0.0 for _, record in shown), default=0.0)
    colours = [_BEST if record.val_miou == best else _TRIAL for _, record in shown]
    heights = [100 * (record.val_miou or 0.0) for _, record in shown]
    axes.scatter([x for x, _ in shown], heights, c=colours, zorder=3, clip_on=False)  # keep dots at the edges whole
