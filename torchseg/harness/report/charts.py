"""The charts of a report: accuracy against cost, precision against recall, and training curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape

from torchseg.harness.format import bytes_text, milliseconds, percent, short_name
from torchseg.harness.report.run_record import Row, RunRecord, chain_rank, number
from torchseg.harness.report.svg import Axis, axis_of, chart, name_tags, point_x, point_y

_CURVES = {
    "train_loss": ("Training loss", 1.0, ""),
    "val_loss": ("Validation loss", 1.0, ""),
    "val_miou": ("Validation mean IoU", 0.01, " %"),
    "learning_rate": ("Learning rate", 1.0, ""),
}

_LINES = 5  # lines per chart, as many as a reader can tell apart
_Points = Sequence[tuple[float, float]]


def tradeoff_plots(run: RunRecord) -> str:
    """Mean IoU against latency and file size, one mark per file, with the Pareto front; empty without scores."""
    colours = stage_colours(run)
    latency = _tradeoff(run.scores, "latency_ms_min", "Latency of one image (ms, minimum, log)", 1.0, colours)
    size = _tradeoff(run.scores, "size_bytes", "File size (MB, log)", 1e6, colours)
    if not latency and not size:
        return ""
    tip = '<figcaption class="tip" aria-live="polite">Point at a mark, or tab to it, to read its numbers.</figcaption>'
    figures = "".join(f"<figure>{plot}{tip}</figure>" for plot in (latency, size) if plot)
    shown = {row["stage"] for row in run.scores}
    return f'<div class="plots">{figures}</div>{_legend({key: at for key, at in colours.items() if key in shown})}'


def curve_plots(run: RunRecord) -> str:
    """Loss, mean IoU and learning rate over epochs, one line per stage; empty if no stage recorded them."""
    colours = stage_colours(run)
    figures = []
    for column, (title, unit, suffix) in _CURVES.items():
        lines = {stage: _points(rows, column) for stage, rows in run.curves.items()}
        lines = {stage: points for stage, points in lines.items() if points}
        if lines:
            plot = _lines(lines, title, unit, suffix, colours)
            figures.append(f"<figure>{plot}<figcaption>{escape(title)}</figcaption></figure>")
    if not figures:
        return ""
    swatches = "".join(
        f'<span><i class="s{at}"></i>{escape(stage)}</span>' for stage, at in colours.items() if stage in run.curves
    )
    return f'<div class="plots">{"".join(figures)}</div><p class="legend">{swatches}</p>'


def stage_colours(run: RunRecord) -> dict[str, int]:
    """Colour index per stage, in the order of the stages; the same in every chart of a run."""
    stages = {*run.curves, *(row["stage"] for row in run.scores)}
    return {stage: at % 8 for at, stage in enumerate(sorted(stages, key=chain_rank))}


def _tradeoff(rows: Sequence[Row], cost: str, label: str, unit: float, colours: Mapping[str, int]) -> str:
    known = [(number(row, cost), number(row, "miou"), row) for row in rows]
    points = [(x, y, row) for x, y, row in known if x is not None and y is not None and x > 0]
    if not points:
        return ""
    x = axis_of([each[0] for each in points], label, log=True, unit=unit)
    y = axis_of([each[1] for each in points], "Mean IoU", unit=0.01, suffix=" %")
    kept = pareto([(each[0], each[1]) for each in points])
    marks = [_frontier([points[at][:2] for at in kept], x, y)]
    for at, (across, up, row) in enumerate(points):
        mark = _mark(row["format"], point_x(x, across), point_y(y, up))
        names = f"point s{colours[row['stage']]}" + (" kept" if at in kept else "")
        marks.append(f'<g class="{names}" tabindex="0"><title>{escape(_hover(row))}</title>{mark}</g>')
    placed = [
        (point_x(x, points[at][0]), point_y(y, points[at][1]), short_name(points[at][2]["artifact"])) for at in kept
    ]
    marks += name_tags(placed, limit=point_x(x, x.high))
    return chart(x, y, marks, title=f"Mean IoU against {label}; {len(points)} files")


def _frontier(points: Sequence[tuple[float, float]], x: Axis, y: Axis) -> str:
    """The Pareto front as a step line: between two files, the cheaper one is the best available."""
    path = ""
    for at, (across, up) in enumerate(points):
        here = f"{point_x(x, across):.1f} {point_y(y, up):.1f}"
        path += f"M{here}" if at == 0 else f"H{here.split()[0]}V{here.split()[1]}"
    return f'<path class="frontier" d="{path}H{point_x(x, x.high):.1f}"/>'


def _mark(kind: str, x: float, y: float) -> str:
    shapes: dict[str, Callable[[], str]] = {
        "onnx": lambda: f'<rect x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10"/>',
        "tflite": lambda: f'<path d="M{x:.1f} {y - 7:.1f}L{x + 6.5:.1f} {y + 5:.1f}H{x - 6.5:.1f}Z"/>',
    }
    return shapes.get(kind, lambda: f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.5"/>')()


def _hover(row: Row) -> str:
    return (
        f"{short_name(row['artifact'])} ({row['runtime']}, {row['precision']})\n"
        f"mean IoU {percent(number(row, 'miou'))}\n"
        f"{milliseconds(number(row, 'latency_ms_min'))} minimum, "
        f"{milliseconds(number(row, 'latency_ms_median'))} median\n{bytes_text(number(row, 'size_bytes'))}"
    )


def _legend(colours: Mapping[str, int]) -> str:
    stages = "".join(f'<span><i class="s{at}"></i>{escape(stage)}</span>' for stage, at in colours.items())
    shapes = "".join(
        f'<span><svg class="key" viewBox="0 0 16 16" aria-hidden="true"><g class="point">{_mark(kind, 8, 8)}</g></svg>'
        f"{name}</span>"
        for kind, name in (("torch", "PyTorch"), ("onnx", "ONNX"), ("tflite", "TFLite"))
    )
    return f'<p class="legend">{stages}{shapes}<span><b class="dash"></b>nothing beats these at both</span></p>'


def _points(rows: Sequence[Row], column: str) -> list[tuple[float, float]]:
    known = [(number(row, "epoch"), number(row, column)) for row in rows]
    return [(x, y) for x, y in known if x is not None and y is not None]


def _lines(
    lines: Mapping[str, Sequence[tuple[float, float]]], title: str, unit: float, suffix: str, colours: Mapping[str, int]
) -> str:
    every = [point for points in lines.values() for point in points]
    x = axis_of([point[0] for point in every], "Epoch", whole=True)
    y = axis_of([point[1] for point in every], title, unit=unit, suffix=suffix)
    marks = []
    for stage, points in lines.items():
        path = " ".join(f"{point_x(x, across):.1f},{point_y(y, up):.1f}" for across, up in points)
        marks.append(f'<g class="line s{colours[stage]}"><title>{escape(stage)}</title><polyline points="{path}"/></g>')
        across, up = points[-1]
        place = f'cx="{point_x(x, across):.1f}" cy="{point_y(y, up):.1f}"'
        hover = f"{stage}, epoch {across:g}: {y.text(up)}"
        marks.append(f'<g class="point s{colours[stage]}"><title>{escape(hover)}</title><circle {place} r="3.5"/></g>')
    return chart(x, y, marks, title=f"{title} over epochs")


def precision_recall_plots(run: RunRecord) -> str:
    """Precision-recall charts, one per class, with a line for each of `curve_files`; empty without recorded curves."""
    shown = curve_files(run)
    classes = list(dict.fromkeys(row["class"] for row in run.precision_recall if row["artifact"] in shown))
    if not shown or not classes:
        return ""
    stages = {row["artifact"]: row["stage"] for row in run.scores}
    drawn = [stages[name] for name in shown]
    # As in every chart, a colour stands for a stage, unless two files of one stage are drawn: then for a file.
    own = len(set(drawn)) < len(drawn)
    colours = {name: at if own else stage_colours(run)[stages[name]] for at, name in enumerate(shown)}
    averages = {(row["artifact"], row["class"]): number(row, "average_precision") for row in run.classes}
    figures = "".join(_figure(run, name, shown, averages, colours) for name in classes)
    keys = "".join(f'<span><i class="s{at}"></i>{escape(short_name(name))}</span>' for name, at in colours.items())
    return f'<div class="plots">{figures}</div><p class="legend">{keys}</p>'


def curve_files(run: RunRecord) -> list[str]:
    """Names of at most 5 files whose curves are drawn: the checkpoints, or any files if no checkpoint has curves."""
    drawn = {row["artifact"] for row in run.precision_recall}
    known = [row for row in run.scores if row["artifact"] in drawn]
    checkpoints = [row["artifact"] for row in known if row.get("format") == "torch"]
    stages = {row["artifact"]: row["stage"] for row in known}
    names = list(dict.fromkeys(checkpoints or stages))
    names = sorted(names, key=lambda name: chain_rank(stages[name]))
    return names if len(names) <= _LINES else [*names[:2], *names[2 - _LINES :]]  # the first and the last stages


def _figure(
    run: RunRecord,
    name: str,
    shown: Sequence[str],
    averages: Mapping[tuple[str, str], float | None],
    colours: Mapping[str, int],
) -> str:
    x = Axis(label=f"Recall of {name}", low=0.0, high=1.0, unit=0.01, suffix=" %")
    y = Axis(label="Precision", low=0.0, high=1.0, unit=0.01, suffix=" %")
    marks, words = [], []
    for artifact in shown:
        points = curve_points(run.precision_recall, artifact, name)
        if not points:
            continue
        average = percent(averages.get((artifact, name)), digits=1)
        path = " ".join(f"{point_x(x, recall):.1f},{point_y(y, precision):.1f}" for recall, precision in points)
        title = f"{short_name(artifact)}, {name}: average precision {average}"
        marks.append(
            f'<g class="line s{colours[artifact]}"><title>{escape(title)}</title><polyline points="{path}"/></g>'
        )
        words.append(f"{short_name(artifact)} {average}")
    caption = f"{name}: average precision {', '.join(words)}"
    plot = chart(x, y, marks, title=caption)
    return f"<figure>{plot}<figcaption>{escape(caption)}</figcaption></figure>"


def curve_points(rows: Sequence[Row], artifact: str, name: str) -> _Points:
    """`(recall, precision)` points of one class for one file, by rising recall; both in [0, 1]."""
    runtime = next((row["runtime"] for row in rows if row["artifact"] == artifact), "")
    found = [
        (number(row, "recall"), number(row, "precision"))
        for row in rows
        if row["artifact"] == artifact and row["class"] == name and row["runtime"] == runtime
    ]
    return [(recall, precision) for recall, precision in found if recall is not None and precision is not None]


def pareto(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the points on the Pareto front, by rising cost.

    Args:
        points: `(cost, gain)` pairs; lower cost and higher gain are better.

    Returns:
        Each kept point has a higher gain than every cheaper point; of equal points the first is kept.
    """
    best = float("-inf")
    kept = []
    for index in sorted(range(len(points)), key=lambda at: (points[at][0], -points[at][1], at)):
        if points[index][1] > best:
            best = points[index][1]
            kept.append(index)
    return kept
