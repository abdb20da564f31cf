"""The figures of a grid: the main effects, and the prediction of every file on one image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from torchseg.atomic_file import partial_file
from torchseg.data import Sample
from torchseg.harness.drawing import Panel, overlay, sheet
from torchseg.pipeline.grid.effects import METRICS, Effect, Metric
from torchseg.pipeline.grid.per_image import VIEWS
from torchseg.pipeline.grid.plan import Cell
from torchseg.pipeline.grid.trainer import TrainingRunner

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EFFECTS_FIGURE, VIEW_FIGURE = "figures/main_effects.png", "figures/view.png"
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")


def save_effects(effects: Sequence[Effect], factors: Mapping[str, Sequence[str]], out: Path) -> Path | None:
    """Draws a row of panels for each factor that has effects; returns None if no factor has any."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [name for name, levels in factors.items() if any(each.factor == name for each in effects)]
    if not shown:
        return None
    figure = Figure(figsize=(3.4 * len(METRICS), 2.5 * len(shown) + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    for at_row, factor in enumerate(shown):
        for at, metric in enumerate(METRICS):
            plot = figure.add_subplot(len(shown), len(METRICS), at_row * len(METRICS) + at + 1)
            mine = [each for each in effects if each.factor == factor and each.metric == metric]
            _draw(plot, factors[factor], mine, metric, _COLOURS[at])
            plot.set_title(metric.title if at_row == 0 else "", fontsize=10)
            plot.set_ylabel(factor if at == 0 else "", fontsize=10)
    figure.suptitle(
        "What a level does against the first one, everything else kept: mean and 95 % interval over the other settings",
        fontsize=10,
    )
    path = out / EFFECTS_FIGURE
    with partial_file(path) as partial:
        figure.savefig(partial, dpi=110)
    return path


def _draw(plot: Axes, levels: Sequence[str], effects: Sequence[Effect], metric: Metric, colour: str) -> None:
    scale, zero = (100.0, 0.0) if metric.kind == "difference" else (1.0, 1.0)
    if metric.kind == "ratio":
        plot.set_yscale("log", base=2)
        plot.yaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
    plot.axhline(zero, color="#999999", linewidth=0.8)
    plot.plot([0], [zero], "o", color="#999999", markersize=5)
    for each in effects:
        value, low, high = (scale * number for number in (each.value, each.low, each.high))
        at = levels.index(each.level)
        if not math.isnan(low):
            plot.plot([at, at], [low, high], "-", color=colour, linewidth=2)
        plot.plot([at], [value], "o", color=colour, markersize=6)
    if metric.kind == "ratio" and effects:  # with two differing settings, intervals span many powers of ten
        values = [zero, *(each.value for each in effects)]
        ends = [end for each in effects for end in (each.low, each.high) if not math.isnan(end)] or values
        low, high = max(min(values) / 4, min(*ends, *values) / 1.1), min(max(values) * 4, max(*ends, *values) * 1.1)
        plot.set_ylim(low, high)
        if high < 4 * low:  # powers of two would leave a single tick
            from matplotlib.ticker import MaxNLocator, NullLocator

            marks = MaxNLocator(5).tick_values(low, high)
            plot.set_yticks([mark for mark in marks if low <= mark <= high])
            plot.yaxis.set_minor_locator(NullLocator())
    plot.set_xticks(range(len(levels)), levels, fontsize=9)
    plot.set_xlim(-0.5, len(levels) - 0.5)
    plot.grid(visible=True, axis="y", alpha=0.3)


def save_view(cells: Sequence[Cell], sample: Sample, classes: Sequence[str], maker: TrainingRunner) -> Path | None:
    """Puts the image, its true mask and every cell's prediction on one sheet, with a row for each training."""
    rows: dict[str, list[Panel | None]] = {}
    for cell in cells:
        path = maker.run(cell.training) / VIEWS / f"{cell.file}.png"
        if not path.is_file():
            continue
        with Image.open(path) as image:
            labels = np.asarray(image, np.uint8)
        if labels.shape != sample.picture.shape[:2]:
            continue  # this training uses another image size than the first one
        title = ", ".join(cell.levels.values())
        rows.setdefault(cell.training.name, []).append(Panel(picture=overlay(sample.picture, labels), title=title))
    if not rows:
        return None
    first: list[Panel | None] = [
        Panel(picture=sample.picture, title=sample.name),
        Panel(picture=overlay(sample.picture, sample.mask), title="truth"),
    ]
    path = maker.folder.path / VIEW_FIGURE
    with partial_file(path) as partial:
        sheet([first, *rows.values()], classes).save(partial)
    return path
