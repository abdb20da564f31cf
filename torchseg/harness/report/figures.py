"""Training curves, accuracy against cost, and precision against recall as PNG files for use in documents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torchseg.atomic_file import partial_file
from torchseg.harness.format import short_name
from torchseg.harness.report.charts import curve_files, curve_points
from torchseg.harness.report.run_record import RunRecord, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CURVES = {"train_loss": "Training loss", "val_loss": "Validation loss", "val_miou": "Validation mean IoU"}
_MOST_CLASSES = 6  # plots in precision_recall.png: the classes with the most pixels
_COLUMNS = 3


def save_figures(run: RunRecord) -> list[Path]:
    """Writes curves.png, tradeoffs.png and precision_recall.png to figures/, if they have data; returns the paths."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    written = []
    for name, count, draw in (
        ("curves", len(_CURVES) if run.curves else 0, _draw_curves),
        ("tradeoffs", 2 if run.scores else 0, _draw_tradeoffs),
        ("precision_recall", len(_large_classes(run)), _draw_precision_recall),
    ):
        if not count:
            continue
        rows, columns = -(-count // _COLUMNS), min(count, _COLUMNS)
        figure = Figure(figsize=(5 * columns, 4 * rows), layout="constrained")  # not pyplot: it has global state
        FigureCanvasAgg(figure)
        draw(run, [figure.add_subplot(rows, columns, at + 1) for at in range(count)])
        path = run.folder / "figures" / f"{name}.png"
        with partial_file(path) as partial:
            figure.savefig(partial, dpi=110)
        written.append(path)
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


def _draw_precision_recall(run: RunRecord, axes: list[Axes]) -> None:
    """One plot per class, one line per model file."""
    for name, plot in zip(_large_classes(run), axes, strict=True):
        for artifact in curve_files(run):
            points = curve_points(run.precision_recall, artifact, name)
            plot.plot([x for x, _ in points], [y for _, y in points], label=short_name(artifact))
        plot.set_title(name)
        plot.set_xlabel("recall")
        plot.set_ylabel("precision")
        plot.set_xlim(0, 1)
        plot.set_ylim(0, 1.02)
        plot.grid(visible=True, alpha=0.3)
        plot.legend()


def _large_classes(run: RunRecord) -> list[str]:
    """Names of the classes to draw, in class order; classes that never occur have no curve."""
    files = set(curve_files(run))
    drawn = {row["class"] for row in run.precision_recall if row["artifact"] in files}
    pixels = {row["class"]: number(row, "pixels") or 0.0 for row in run.classes if row["class"] in drawn}
    largest = sorted(pixels, key=lambda name: -pixels[name])[:_MOST_CLASSES]
    return [name for name in pixels if name in largest]
