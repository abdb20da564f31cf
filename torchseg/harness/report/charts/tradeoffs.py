"""Accuracy against latency and size: one mark per file, the Pareto front, and names for the files that matter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from itertools import pairwise

from torchseg.harness.format import bytes_text, milliseconds, percent, short_name
from torchseg.harness.report.charts.svg import Axis, axis_of, chart, name_tags, point_x, point_y
from torchseg.harness.report.recommendation.recommend import Recommendation
from torchseg.harness.report.run_record import Row, RunRecord, number, stage_colours

_LINE_STEP = 8.0  # pixels
COSTS = {"latency_ms_min": ("Latency of one image (ms, log)", 1.0), "size_bytes": ("File size (MB, log)", 1e6)}
"""The columns that accuracy is drawn against, each with the title of its axis and the unit."""

FORMAT_NAMES = {"torch": "PyTorch", "onnx": "ONNX", "tflite": "TFLite", "keras": "Keras"}
"""Names of the formats for people."""


def tradeoff_plots(run: RunRecord, found: Recommendation | None) -> str:
    """Mean IoU against latency and file size, one mark per file, with the Pareto front; empty without scores."""
    colours = stage_colours(run)
    plots = [_tradeoff(run, cost, found, colours) for cost in COSTS]
    if not any(plots):
        return ""
    shown = {row["stage"] for row in run.scores}
    figures = "".join(f"<figure>{plot}</figure>" for plot in plots if plot)
    names = {kind: name for kind, name in FORMAT_NAMES.items() if any(row["format"] == kind for row in run.scores)}
    key = _legend({key: at for key, at in colours.items() if key in shown}, names, has_choice=found is not None)
    tip = '<p class="tip" aria-live="polite">Point at a mark, or tab to it, to read its numbers.</p>'
    return f'<div class="plots tradeoffs">{figures}<div>{key}{tip}</div></div>'


def named_rows(rows: Sequence[Row], cost: str, found: Recommendation | None) -> list[tuple[Row, str]]:
    """The rows to name in a chart, the most important first, each with its name.

    Those are the recommended file, what it is compared with, the baseline, its runners-up and the Pareto front. The
    names of files of the recommended stage leave the stage out.
    """
    first = [found.file, found.reference, found.floor, *found.others.values()] if found else []
    known = [row for row in rows if number(row, cost) and number(row, "miou") is not None]
    checkpoints = [row for row in known if row["format"] == "torch" and row["stage"] in ("teacher", "baseline")]
    kept = pareto([(number(row, cost) or 0.0, number(row, "miou") or 0.0) for row in known])
    wanted = {id(row): row for row in (*first, *checkpoints, *(known[at] for at in kept))}
    places = {id(row) for row in known}
    stage = found.file["stage"] if found else None
    return [(row, _tag_name(row, stage)) for key, row in wanted.items() if key in places]


def step_points(corners: Sequence[tuple[float, float]], *, end: float) -> list[tuple[float, float]]:
    """Points along a step line through `corners` and on to `end`, close enough together that no name crosses it."""
    found = []
    for (x, y), (to, up) in pairwise([*corners, (end, corners[-1][1])]):
        found += [(x + _LINE_STEP * at, y) for at in range(int((to - x) / _LINE_STEP) + 1)]
        found += [(to, min(y, up) + _LINE_STEP * at) for at in range(int(abs(up - y) / _LINE_STEP) + 1)]
    return found


def _tag_name(row: Row, stage: str | None) -> str:
    """`student` for a checkpoint; the file's name, without the stage if that is the one of the recommended file."""
    name = short_name(row["artifact"])
    return name.removeprefix(f"{stage}.") if row["stage"] == stage else name


def _tradeoff(run: RunRecord, cost: str, found: Recommendation | None, colours: Mapping[str, int]) -> str:
    known = [(number(row, cost), number(row, "miou"), row) for row in run.scores]
    points = [(x, y, row) for x, y, row in known if x is not None and y is not None and x > 0]
    if not points:
        return ""
    label, unit = COSTS[cost]
    x = axis_of([each[0] for each in points], label, log=True, unit=unit)
    y = axis_of([each[1] for each in points], f"Mean IoU{run.on_split}", unit=0.01, suffix=" %")
    kept = pareto([(each[0], each[1]) for each in points])
    marks = [_frontier([points[at][:2] for at in kept], x, y)]
    places = {id(row): (point_x(x, across), point_y(y, up)) for across, up, row in points}
    chosen_row = found.file if found else None
    order = sorted(range(len(points)), key=lambda at: points[at][2] is chosen_row)  # the choice on top
    for at in order:
        row = points[at][2]
        chosen = row is chosen_row
        names = f"point s{colours[row['stage']]}" + (" kept" if at in kept else "") + (" chosen" if chosen else "")
        marks.append(
            f'<g class="{names}" tabindex="0"><title>{escape(_hover(row))}</title>'
            f"{_mark(row['format'], *places[id(row)], scale=1.5 if chosen else 1.0)}</g>"
        )
    named = [(*places[id(row)], name) for row, name in named_rows(run.scores, cost, found) if id(row) in places]
    line = step_points([places[id(points[at][2])] for at in kept], end=point_x(x, x.high))
    marks += name_tags(named, points=[*places.values(), *line])
    return chart(x, y, marks, title=f"Mean IoU{run.on_split} against {label}; {len(points)} files")


def _frontier(points: Sequence[tuple[float, float]], x: Axis, y: Axis) -> str:
    """The Pareto front as a step line: between two files, the cheaper one is the best available."""
    path = ""
    for at, (across, up) in enumerate(points):
        here = f"{point_x(x, across):.1f} {point_y(y, up):.1f}"
        path += f"M{here}" if at == 0 else f"H{here.split()[0]}V{here.split()[1]}"
    return f'<path class="frontier" d="{path}H{point_x(x, x.high):.1f}"/>'


def _mark(kind: str, x: float, y: float, *, scale: float = 1.0) -> str:
    shapes: dict[str, Callable[[], str]] = {
        "onnx": lambda: (
            f'<rect x="{x - 5 * scale:.1f}" y="{y - 5 * scale:.1f}" width="{10 * scale}" height="{10 * scale}"/>'
        ),
        "tflite": lambda: (
            f'<path d="M{x:.1f} {y - 7 * scale:.1f}L{x + 6.5 * scale:.1f} {y + 5 * scale:.1f}H{x - 6.5 * scale:.1f}Z"/>'
        ),
        "keras": lambda: (
            f'<path d="M{x:.1f} {y - 7 * scale:.1f}L{x + 6.5 * scale:.1f} {y:.1f} {x:.1f} {y + 7 * scale:.1f} '
            f'{x - 6.5 * scale:.1f} {y:.1f}Z"/>'
        ),
    }
    return shapes.get(kind, lambda: f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{5.5 * scale}"/>')()


def _hover(row: Row) -> str:
    return (
        f"{short_name(row['artifact'])} ({row['runtime']}, {row['precision']})\n"
        f"mean IoU {percent(number(row, 'miou'))}\n"
        f"{milliseconds(number(row, 'latency_ms_min'))} minimum, "
        f"{milliseconds(number(row, 'latency_ms_median'))} median\n{bytes_text(number(row, 'size_bytes'))}"
    )


def _legend(colours: Mapping[str, int], formats: Mapping[str, str], *, has_choice: bool) -> str:
    stages = "".join(f'<span><i class="s{at}"></i>{escape(stage)}</span>' for stage, at in colours.items())
    shapes = "".join(
        f'<span><svg class="key" viewBox="0 0 16 16" aria-hidden="true"><g class="point">{_mark(kind, 8, 8)}</g></svg>'
        f"{name}</span>"
        for kind, name in formats.items()
    )
    choice = "<span>large: the recommended file</span>" if has_choice else ""
    front = '<span><b class="dash"></b>Pareto front: nothing beats these at both</span>'
    return f'<p class="legend">{stages}</p><p class="legend">{shapes}</p><p class="legend">{choice}{front}</p>'


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
