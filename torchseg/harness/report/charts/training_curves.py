"""The course of each training: loss and mean IoU over epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from torchseg.harness.report.charts.svg import axis_of, chart, point_x, point_y
from torchseg.harness.report.run_record import Row, RunRecord, number, stage_colours

_FROM_MASKS = ("teacher", "trained", "baseline")  # stages that never learn from a teacher
Points = list[tuple[float, float]]
Curves = Mapping[str, Points]


def curve_plots(run: RunRecord) -> str:
    """Mean IoU of all stages in one chart, then the losses of each stage in its own; empty without curves."""
    colours = stage_colours(run)
    figures = [_miou_figure(miou_curves(run), colours)] if miou_curves(run) else []
    for stage in run.curves:
        curves = loss_curves(run, stage)
        if any(curves.values()):
            plot = _chart(curves, dict.fromkeys(curves, colours[stage]), "Loss")
            figures.append(_figure(plot, f"{stage}: {loss_note(run, stage)}"))
    return f'<div class="plots">{"".join(figures)}</div>' if figures else ""


def miou_curves(run: RunRecord) -> Curves:
    """Mean IoU on the validation split by stage, and on the training split (`STAGE, training`) if it was recorded."""
    columns = {"": "val_miou", ", training": "train_miou"}
    every = {f"{stage}{end}": points(rows, name) for stage, rows in run.curves.items() for end, name in columns.items()}
    return {name: line for name, line in every.items() if line}


def loss_curves(run: RunRecord, stage: str) -> Curves:
    """`training` and `validation` loss of a stage; `validation` alone if they are not the same quantity."""
    columns = {"validation": "val_loss"} | ({} if is_taught(run, stage) else {"training": "train_loss"})
    curves = {name: points(run.curves[stage], column) for name, column in columns.items()}
    if not any(curves.values()):  # no validation: the training loss alone compares with nothing wrong
        curves = {"training": points(run.curves[stage], "train_loss")}
    return {name: line for name, line in curves.items() if line}


def loss_note(run: RunRecord, stage: str) -> str:
    """What the losses of a stage are, in words."""
    if not is_taught(run, stage):
        return "loss on the masks, of augmented training images and of validation images"
    last = next(
        (value for row in reversed(run.curves[stage]) if (value := number(row, "train_loss")) is not None), None
    )
    ended = "" if last is None else f" and ended at {last:.3g}"
    return (
        "loss on the masks of validation images. The training loss is not drawn: it is measured against the teacher "
        f"as well{ended}, so the two do not compare"
    )


def is_taught(run: RunRecord, stage: str) -> bool:
    """Whether the training loss of a stage includes a distillation loss."""
    has_teacher = run.flag("teacher") is not None or run.flag("teacher_checkpoint") is not None
    return has_teacher and stage not in _FROM_MASKS


def points(rows: Sequence[Row], column: str) -> Points:
    """`(epoch, value)` of the epochs that recorded the value."""
    known = [(number(row, "epoch"), number(row, column)) for row in rows]
    return [(x, y) for x, y in known if x is not None and y is not None]


def _miou_figure(curves: Curves, colours: Mapping[str, int]) -> str:
    shades = {name: colours[name.removesuffix(", training")] for name in curves}
    return _figure(_chart(curves, shades, "Mean IoU", 0.01, " %"), "all stages: mean IoU on the validation split")


def _figure(plot: str, caption: str) -> str:
    return f"<figure>{plot}<figcaption>{escape(caption)}</figcaption></figure>"


def _chart(curves: Curves, colours: Mapping[str, int], title: str, unit: float = 1.0, suffix: str = "") -> str:
    """Lines, dashed for training, and below them a key with the last values."""
    every = [point for line in curves.values() for point in line]
    x = axis_of([point[0] for point in every], "Epoch", whole=True)
    y = axis_of([point[1] for point in every], title, unit=unit, suffix=suffix)
    marks, keys = [], []
    for name, line in curves.items():
        path = " ".join(f"{point_x(x, across):.1f},{point_y(y, up):.1f}" for across, up in line)
        dashed = name.endswith("training")
        marks.append(
            f'<g class="line s{colours[name]}{" dashed" if dashed else ""}"><title>{escape(name)}</title>'
            f'<polyline points="{path}"/></g>'
        )
        across, up = line[-1]
        place = f'cx="{point_x(x, across):.1f}" cy="{point_y(y, up):.1f}"'
        marks.append(f'<g class="point s{colours[name]}"><circle {place} r="3.5"/></g>')
        key = f'<b class="dash s{colours[name]}{"" if dashed else " solid"}"></b>'
        keys.append(f"<span>{key}{escape(name)} {_three_digits(up / unit)}{suffix}</span>")
    plot = chart(x, y, marks, title=f"{title} over epochs: {', '.join(curves)}")
    return f'{plot}<p class="legend">{"".join(keys)}</p>'


def _three_digits(value: float) -> str:
    """E.g. `73.0`, so that the numbers of a key have equally many digits."""
    text = f"{value:#.3g}"
    return f"{float(text):g}" if "e" in text else text.removesuffix(".")
