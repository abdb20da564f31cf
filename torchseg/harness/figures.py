"""Learning curves and trade-offs as PNG files, for documents that take pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torchseg.harness.display import short_name
from torchseg.harness.run_record import RunRecord, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CURVES = {"train_loss": "Training loss", "val_loss": "Validation loss", "val_miou": "Validation mean IoU"}


def save_figures(run: RunRecord) -> list[Path]:
    """Writes figures/curves.png and figures/tradeoffs.png as far as the run has data for them; gives their paths."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    written = []
    for name, count, draw in (("curves", len(_CURVES), _draw_curves), ("tradeoffs", 2, _draw_tradeoffs)):
        if (name == "curves" and not run.curves) or (name == "tradeoffs" and not run.scores):
            continue
        figure = Figure(figsize=(5 * count, 4), layout="constrained")  # never pyplot: no global state, no display
        FigureCanvasAgg(figure)
        draw(run, [figure.add_subplot(1, count, at + 1) for at in range(count)])
        path = run.folder / "figures" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        partial = path.with_suffix(".partial.png")
        figure.savefig(partial, dpi=110)
        written.append(partial.replace(path))
    return written


def _draw_curves(run: RunRecord, axes: list[Axes]) -> None:
    for (column, title), plot in zip(_CURVES.items(), axes, strict=True):
        for stage, rows in run.curves.items():
            known = [(number(row, "epoch"), number(row, column)) for row in rows]
            points = [(x, y) for x, y in known if x is not None and y is not None]
            if points:
                plot.plot([x for x, _ in points], [y for _, y in points], label=stage)
        plot.set_title(title)
        plot.set_xlabel("epoch")
        plot.grid(visible=True, alpha=0.3)
        if plot.lines:
            plot.legend()


def _draw_tradeoffs(run: RunRecord, axes: list[Axes]) -> None:
    costs = {"latency_ms_min": "latency, minimum (ms)", "size_bytes": "size (bytes)"}
    for (column, label), plot in zip(costs.items(), axes, strict=True):
        for row in run.scores:
            x, y = number(row, column), number(row, "miou")
            if x and y is not None:
                plot.scatter(x, 100 * y)
                plot.annotate(short_name(row["artifact"]), (x, 100 * y), fontsize=7)
        plot.set_xscale("log")
        plot.set_xlabel(label)
        plot.set_ylabel("mean IoU (%)")
        plot.grid(visible=True, alpha=0.3)
