"""The figure of measured students: latency against parameters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torchseg.atomic_file import partial_file
from torchseg.pipeline.students.table import StudentRow

FIGURE = "students.png"
_COLOURS = ("#0072B2", "#D55E00", "#009E73")
_MARKS = ("o", "s", "^")


def save_students_figure(path: Path, rows: Sequence[StudentRow]) -> None:
    """Draws one point per student and runtime, with the student's name; both axes are logarithmic."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    figure = Figure(figsize=(8, 5.5), layout="constrained")  # never pyplot: it has global state
    FigureCanvasAgg(figure)
    plot = figure.add_subplot()
    for at, runtime in enumerate(dict.fromkeys(row.runtime for row in rows)):
        mine = [row for row in rows if row.runtime == runtime]
        sizes = [row.parameters / 1e3 for row in mine]
        times = [row.latency_ms_min for row in mine]
        plot.scatter(sizes, times, c=_COLOURS[at % 3], marker=_MARKS[at % 3], label=runtime, zorder=3)
        if at == 0:  # a name at each point of one runtime: the others lie above or below
            for row in mine:
                plot.annotate(
                    row.student,
                    (row.parameters / 1e3, row.latency_ms_min),
                    xytext=(4, 4),
                    textcoords="offset points",
                    fontsize=7,
                )
    plot.set_xscale("log")
    plot.set_yscale("log")
    plot.margins(x=0.15)  # room for the names
    for axis in (plot.xaxis, plot.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        axis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.set_minor_formatter(NullFormatter())
    plot.set_xlabel("parameters (thousands)")
    plot.set_ylabel("latency of one image, one thread, minimum (ms)")
    plot.set_title(_conditions(rows), fontsize=9)
    plot.grid(visible=True, which="both", alpha=0.3)
    plot.legend()
    with partial_file(path) as partial:
        figure.savefig(partial, dpi=110)


def _conditions(rows: Sequence[StudentRow]) -> str:
    first = rows[0]
    return f"int8 files, {first.height}x{first.width}, {first.classes} classes, random weights; {first.cpu}"
