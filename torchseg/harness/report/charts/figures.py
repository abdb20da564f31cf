"""Training curves, accuracy against cost, and precision against recall as PNG files for use in documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torchseg.atomic_file import partial_file
from torchseg.harness.format import short_name
from torchseg.harness.report.charts.precision_recall import curve_colours, curve_files, curve_points
from torchseg.harness.report.charts.svg import axis_of, place_names
from torchseg.harness.report.charts.tradeoffs import FORMAT_NAMES, named_rows, pareto, step_points
from torchseg.harness.report.charts.training_curves import Curves, is_taught, loss_curves, miou_curves
from torchseg.harness.report.recommendation.recommend import Recommendation, recommend
from torchseg.harness.report.run_record import RunRecord, number, stage_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Draw = Callable[["Axes"], None]
_COLOURS = ("#2457c5", "#c2410c", "#0f7a3d", "#9333ea", "#0e7490", "#be185d", "#a16207", "#57534e")  # as on the page
_MARKS = {"torch": "o", "onnx": "s", "tflite": "^", "keras": "D"}
_COSTS = {"latency_ms_min": ("latency of one image (ms)", 1.0), "size_bytes": ("file size (MB)", 1e6)}
_MOST_CLASSES = 6  # plots in precision_recall.png: the classes with the most pixels
_COLUMNS = 2  # at the width of a README, text in more plots beside each other is too small to read
_WIDTH, _HEIGHT, _DPI = 4.6, 3.4, 110  # of one plot, in inches


def save_figures(run: RunRecord, *, target: str | None = None) -> list[Path]:
    """Writes curves.png, tradeoffs.png and precision_recall.png to figures/, if they have data; returns the paths."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    found = recommend(run.scores, target=target or run.target)
    written = []
    for name, plots in (
        ("curves", _curve_plots(run)),
        ("tradeoffs", _tradeoff_plots(run, found)),
        ("precision_recall", _precision_recall_plots(run)),
    ):
        if not plots:
            continue
        rows, columns = -(-len(plots) // _COLUMNS), min(len(plots), _COLUMNS)
        room = 0.6 if name == "tradeoffs" else 0.0  # for the legend below
        figure = Figure(figsize=(_WIDTH * columns, _HEIGHT * rows + room), layout="constrained", dpi=_DPI)
        FigureCanvasAgg(figure)  # not pyplot: it has global state
        axes = [figure.add_subplot(rows, columns, at + 1) for at in range(len(plots))]
        for draw, plot in zip(plots, axes, strict=True):
            plot.grid(visible=True, alpha=0.3)
            draw(plot)
        if name == "tradeoffs":
            figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=10)
            figure.canvas.draw()  # settles the axes, so that names can be placed in pixels
            for cost, plot in zip(_COSTS, axes, strict=True):
                _name_points(run, cost, found, plot)
        path = run.folder / "figures" / f"{name}.png"
        with partial_file(path) as partial:
            figure.savefig(partial)
        written.append(path)
    return written


def _curve_plots(run: RunRecord) -> list[Draw]:
    """Mean IoU of all stages, then the losses of each stage that are the same quantity."""
    stages, colours = list(run.curves), stage_colours(run)
    iou = {name: [(x, 100 * y) for x, y in line] for name, line in miou_curves(run).items()}
    plots: list[Draw] = []
    if iou:
        shades = [colours[name.removesuffix(", training")] for name in iou]
        plots.append(lambda plot: _draw_lines(plot, iou, "mean IoU on validation images (%)", shades))
    for stage in stages:
        losses = loss_curves(run, stage)
        if losses:
            title = f"{stage}: loss on the masks" + (" (validation)" if is_taught(run, stage) else "")
            plots.append(_loss_plot(losses, title, colours[stage]))
    return plots


def _loss_plot(losses: Curves, title: str, colour: int) -> Draw:
    return lambda plot: _draw_lines(plot, losses, title, [colour] * len(losses))


def _draw_lines(plot: Axes, curves: Curves, title: str, colours: Sequence[int]) -> None:
    for (name, line), colour in zip(curves.items(), colours, strict=True):
        style = "--" if name.endswith("training") else "-"
        plot.plot([x for x, _ in line], [y for _, y in line], style, color=_COLOURS[colour], label=name)
    plot.set_title(title, fontsize=12)
    plot.set_xlabel("epoch", fontsize=11)
    plot.legend(fontsize=10)


def _tradeoff_plots(run: RunRecord, found: Recommendation | None) -> list[Draw]:
    shown = [row for row in run.scores if all(number(row, name) is not None for name in ("miou", *_COSTS))]
    return [_tradeoff(run, cost, found) for cost in _COSTS] if shown else []


def _tradeoff(run: RunRecord, cost: str, found: Recommendation | None) -> Draw:
    def draw(plot: Axes) -> None:
        colours = stage_colours(run)
        known = [(number(row, cost), number(row, "miou"), row) for row in run.scores]
        points = [(x / _COSTS[cost][1], 100 * y, row) for x, y, row in known if x and y is not None]
        front = [points[at] for at in pareto([(x, y) for x, y, _ in points])]
        plot.step([x for x, _, _ in front], [y for _, y, _ in front], where="post", color="0.5", linestyle="--")
        for x, y, row in points:
            size = 130 if found and row is found.file else 45
            colour = _COLOURS[colours[row["stage"]]]
            plot.scatter(x, y, s=size, color=colour, marker=_MARKS.get(row["format"], "o"), edgecolors="white")
        for stage in dict.fromkeys(row["stage"] for _, _, row in points):
            plot.scatter([], [], color=_COLOURS[colours[stage]], label=stage)
        for kind in dict.fromkeys(row["format"] for _, _, row in points):
            mark = _MARKS.get(kind, "o")
            plot.scatter([], [], color="0.4", marker=mark, label=FORMAT_NAMES.get(kind, kind))
        plot.set_xscale("log")
        plot.set_xlabel(_COSTS[cost][0], fontsize=11)
        plot.set_ylabel(f"mean IoU{run.on_split} (%)", fontsize=11)
        plot.margins(0.12)
        ticks = axis_of([x for x, _, _ in points], "", log=True).ticks()
        plot.set_xticks(ticks, labels=[f"{each:g}" for each in ticks])
        plot.set_xticks([], minor=True)

    return draw


def _name_points(run: RunRecord, cost: str, found: Recommendation | None, plot: Axes) -> None:
    """Writes names beside points where there is room, counting pixels from the upper left corner."""
    height, frame = plot.figure.bbox.height, plot.get_window_extent()

    def place(row: object) -> tuple[float, float]:
        x, y = number(row, cost) or 0.0, number(row, "miou") or 0.0  # type: ignore[arg-type]
        across, up = plot.transData.transform((x / _COSTS[cost][1], 100 * y))
        return float(across), float(height - up)

    known = [row for row in run.scores if number(row, cost) and number(row, "miou") is not None]
    named = [(*place(row), name) for row, name in named_rows(run.scores, cost, found)]
    box = (float(frame.x0), float(height - frame.y1), float(frame.x1), float(height - frame.y0))
    points = [place(row) for row in known]
    kept = pareto([(x, -y) for x, y in points])
    line = step_points([points[at] for at in kept], end=box[2])
    for tag in place_names(named, points=[*points, *line], frame=box, character=8.0):
        left, bottom = plot.transData.inverted().transform((tag.box[0], height - tag.box[3] + 3))
        plot.annotate(
            tag.name,
            tuple(plot.transData.inverted().transform((tag.point[0], height - tag.point[1]))),
            xytext=(left, bottom),
            textcoords="data",
            fontsize=9,
            arrowprops={"arrowstyle": "-", "color": "0.6", "lw": 0.6, "shrinkA": 0, "shrinkB": 2},
        )


def _precision_recall_plots(run: RunRecord) -> list[Draw]:
    """One plot per class, one line per model file."""
    return [_precision_recall(run, name) for name in _large_classes(run)]


def _precision_recall(run: RunRecord, name: str) -> Draw:
    def draw(plot: Axes) -> None:
        for artifact, colour in curve_colours(run).items():
            points = curve_points(run.precision_recall, artifact, name)
            line = [x for x, _ in points], [y for _, y in points]
            plot.plot(*line, color=_COLOURS[colour % len(_COLOURS)], label=short_name(artifact))
        plot.set_title(f"{name}{run.on_split and f', {run.split} split'}", fontsize=12)
        plot.set_xlabel("recall", fontsize=11)
        plot.set_ylabel("precision", fontsize=11)
        plot.set_xlim(0, 1)
        plot.set_ylim(0, 1.02)
        plot.legend(fontsize=9)

    return draw


def _large_classes(run: RunRecord) -> list[str]:
    """Names of the classes to draw, in class order; classes that never occur have no curve."""
    files = set(curve_files(run))
    drawn = {row["class"] for row in run.precision_recall if row["artifact"] in files}
    pixels = {row["class"]: number(row, "pixels") or 0.0 for row in run.classes if row["class"] in drawn}
    largest = sorted(pixels, key=lambda name: -pixels[name])[:_MOST_CLASSES]
    return [name for name in pixels if name in largest]
