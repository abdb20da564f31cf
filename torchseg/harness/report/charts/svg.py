"""Axes, ticks and labels of charts as inline SVG; colours come from the page's style."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 420, 300  # about the size in pixels at which the page shows a chart, so that text keeps its size
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 22, 12, 44  # room for `74.5 %` beside the axis label, and half of `100 %`
FRAME = (_LEFT, _TOP, _WIDTH - _RIGHT, _HEIGHT - _BOTTOM)
_LINE = 14.0  # height of a name, in pixels
_CLEAR = 7.0  # half the side of the square around a point that names stay out of
_SHIFTS = (0.0, -16.0, 16.0, -30.0, 30.0, -46.0, 46.0, -62.0, 62.0, -80.0, 80.0, -100.0, 100.0)  # vertical, tried first
Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis of a chart: its range and the format of its tick labels."""

    label: str
    low: float
    high: float
    log: bool = False
    unit: float = 1.0  # tick labels show value / unit
    suffix: str = ""
    whole: bool = False  # ticks at whole numbers only

    def place(self, value: float) -> float:
        """Relative position of a value on the axis: 0 at `low`, 1 at `high`."""
        low, high, value = (math.log10(each) if self.log else each for each in (self.low, self.high, value))
        return (value - low) / (high - low) if high > low else 0.5

    def ticks(self) -> list[float]:
        """About five round values within the range."""
        if self.log:
            return _log_ticks(self.low / self.unit, self.high / self.unit, self.unit)
        step = _round_step((self.high - self.low) / self.unit / 5) * self.unit
        step = max(1.0, round(step)) if self.whole else step
        first = math.ceil(self.low / step - 1e-9)
        return [index * step for index in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def text(self, value: float) -> str:
        """Label of a tick."""
        return f"{value / self.unit:.6g}{self.suffix}"


def axis_of(values: Sequence[float], label: str, **options: object) -> Axis:
    """An axis that covers the values with a small margin; takes the options of `Axis`."""
    low, high = min(values), max(values)
    if options.get("log"):
        room = max((high / low) ** 0.08, 1.15)
        return Axis(label=label, low=low / room, high=high * room, **options)  # type: ignore[arg-type]
    room = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    return Axis(label=label, low=low - room, high=high + room, **options)  # type: ignore[arg-type]


def chart(x: Axis, y: Axis, marks: Sequence[str], *, title: str) -> str:
    """A chart as SVG: the marks with grid, ticks and axis labels; a screen reader reads `title`."""
    parts = [f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">']
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    for value in x.ticks():
        at = point_x(x, value)
        parts.append(f'<line class="grid" x1="{at:.1f}" y1="{_TOP}" x2="{at:.1f}" y2="{bottom}"/>')
        parts.append(f'<text class="tick" x="{at:.1f}" y="{bottom + 19}" text-anchor="middle">{x.text(value)}</text>')
    for value in y.ticks():
        at = point_y(y, value)
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{at:.1f}" x2="{right}" y2="{at:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 7}" y="{at + 4:.1f}" text-anchor="end">{y.text(value)}</text>')
    middle = (_TOP + bottom) / 2
    parts.append(f'<text class="label" x="{(_LEFT + right) / 2}" y="{_HEIGHT - 8}" text-anchor="middle">')
    parts.append(f"{escape(x.label)}</text>")
    parts.append(f'<text class="label" x="13" y="{middle}" text-anchor="middle" transform="rotate(-90 13 {middle})">')
    parts.append(f"{escape(y.label)}</text>")
    return "".join([*parts, *marks, "</svg>"])


@dataclass(frozen=True, kw_only=True)
class Tag:
    """A name beside its point, in pixels from the upper left corner."""

    name: str
    point: tuple[float, float]
    box: Box


def place_names(
    places: Sequence[tuple[float, float, str]],
    *,
    points: Sequence[tuple[float, float]] = (),
    frame: Box = FRAME,
    character: float = 7.0,
) -> list[Tag]:
    """Finds room for names beside their points, so that they cover neither each other nor a point.

    Args:
        places: `(x, y, name)` in pixels, the most important first; a name for which there is no room is left out.
        points: further points to keep clear.
        frame: that names stay within.
        character: width of a character in pixels.
    """
    taken = [_around(x, y) for x, y in (*points, *((x, y) for x, y, _ in places))]
    tags = []
    for x, y, name in places:
        width = character * len(name)
        lefts = (x + _CLEAR + 2, x - _CLEAR - 2 - width, x - width / 2)
        boxes = (
            (left, y + shift - _LINE / 2, left + width, y + shift + _LINE / 2) for shift in _SHIFTS for left in lefts
        )
        free = (box for box in boxes if _contains(frame, box) and not any(_overlap(box, other) for other in taken))
        box = next(free, None)
        if box is not None:
            taken.append(box)
            tags.append(Tag(name=name, point=(x, y), box=box))
    return tags


def name_tags(places: Sequence[tuple[float, float, str]], *, points: Sequence[tuple[float, float]] = ()) -> list[str]:
    """The names of `place_names` as SVG; one that is far from its point is joined to it by a line."""
    marks = []
    for tag in place_names(places, points=points):
        (x, y), (left, top, right, bottom) = tag.point, tag.box
        near = (min(max(x, left), right), min(max(y, top), bottom))
        if math.dist((x, y), near) > 2 * _CLEAR:
            marks.append(f'<line class="lead" x1="{x:.1f}" y1="{y:.1f}" x2="{near[0]:.1f}" y2="{near[1]:.1f}"/>')
        at, anchor = _anchor(tag)
        marks.append(f'<text class="tag" x="{at:.1f}" y="{bottom - 3:.1f}"{anchor}>{escape(tag.name)}</text>')
    return marks


def _anchor(tag: Tag) -> tuple[float, str]:
    """The side of its room that a name touches, which is that of its point: the room is for the widest letters."""
    x, (left, _, right, _) = tag.point[0], tag.box
    if left > x:
        return left, ""
    return (right, ' text-anchor="end"') if right < x else ((left + right) / 2, ' text-anchor="middle"')


def _around(x: float, y: float) -> Box:
    return (x - _CLEAR, y - _CLEAR, x + _CLEAR, y + _CLEAR)


def _contains(frame: Box, box: Box) -> bool:
    return frame[0] <= box[0] and frame[1] <= box[1] and box[2] <= frame[2] and box[3] <= frame[3]


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def point_x(axis: Axis, value: float) -> float:
    """Horizontal SVG coordinate of a value."""
    return _LEFT + axis.place(value) * (_WIDTH - _LEFT - _RIGHT)


def point_y(axis: Axis, value: float) -> float:
    """Vertical SVG coordinate of a value; SVG counts from the top."""
    return _TOP + (1 - axis.place(value)) * (_HEIGHT - _TOP - _BOTTOM)


def _round_step(raw: float) -> float:
    power = 10.0 ** math.floor(math.log10(raw)) if raw > 0 else 1.0
    return next((power * factor for factor in (1, 2, 2.5, 5) if power * factor >= raw), power * 10)


def _log_ticks(low: float, high: float, unit: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if high / low < 300 else (1,)
    if high / low < 4:
        factors = (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)  # type: ignore[assignment]
    values = [factor * 10.0**decade for decade in decades for factor in factors]
    return [value * unit for value in values if low <= value <= high]
