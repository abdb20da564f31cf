"""Precision against recall of each class, as charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from torchseg.harness.format import percent, short_name, unbroken
from torchseg.harness.report.charts.svg import Axis, chart, point_x, point_y
from torchseg.harness.report.run_record import Row, RunRecord, chain_rank, number, stage_colours

_LINES = 5  # lines per chart, as many as a reader can tell apart
_Points = Sequence[tuple[float, float]]


def precision_recall_plots(run: RunRecord) -> str:
    """Precision-recall charts, one per class, with a line for each of `curve_files`; empty without recorded curves."""
    shown = curve_files(run)
    classes = list(dict.fromkeys(row["class"] for row in run.precision_recall if row["artifact"] in shown))
    if not shown or not classes:
        return ""
    colours = curve_colours(run)
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


def curve_colours(run: RunRecord) -> dict[str, int]:
    """Colour index of each of `curve_files`.

    As in every chart, a colour stands for a stage, unless two files of one stage are drawn: then for a file.
    """
    shown = curve_files(run)
    stages = {row["artifact"]: row["stage"] for row in run.scores}
    own = len({stages[name] for name in shown}) < len(shown)
    return {name: at if own else stage_colours(run)[stages[name]] for at, name in enumerate(shown)}


def _figure(
    run: RunRecord,
    name: str,
    shown: Sequence[str],
    averages: Mapping[tuple[str, str], float | None],
    colours: Mapping[str, int],
) -> str:
    x = Axis(
        label=f"Recall of {name}{run.on_split and f', {run.split} split'}", low=0.0, high=1.0, unit=0.01, suffix=" %"
    )
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
    caption = f"{name}: average precision{run.on_split} {', '.join(words)}"
    plot = chart(x, y, marks, title=caption)
    return f"<figure>{plot}<figcaption>{escape(unbroken(caption))}</figcaption></figure>"


def curve_points(rows: Sequence[Row], artifact: str, name: str) -> _Points:
    """`(recall, precision)` points of one class for one file, by rising recall; both in [0, 1]."""
    runtime = next((row["runtime"] for row in rows if row["artifact"] == artifact), "")
    found = [
        (number(row, "recall"), number(row, "precision"))
        for row in rows
        if row["artifact"] == artifact and row["class"] == name and row["runtime"] == runtime
    ]
    return [(recall, precision) for recall, precision in found if recall is not None and precision is not None]
