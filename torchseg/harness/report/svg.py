"""Axes, ticks and labels of charts as inline SVG; colours come from the page's style."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 560, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 74, 26, 14, 46
_TAG_SHIFTS = (10, 24, 38, 52, 66)  # vertical distances to try between a point and the baseline of its name


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
        parts.append(f'<text class="tick" x="{at:.1f}" y="{bottom + 16}" text-anchor="middle">{x.text(value)}</text>')
    for value in y.ticks():
        at = point_y(y, value)
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{at:.1f}" x2="{right}" y2="{at:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 7}" y="{at + 4:.1f}" text-anchor="end">{y.text(value)}</text>')
    middle = (_TOP + bottom) / 2
    parts.append(f'<text class="label" x="{(_LEFT + right) / 2}" y="{_HEIGHT - 8}" text-anchor="middle">')
    parts.append(f"{escape(x.label)}</text>")
    parts.append(f'<text class="label" x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">')
    parts.append(f"{escape(y.label)}</text>")
    return "".join([*parts, *marks, "</svg>"])


def name_tags(places: Sequence[tuple[float, float, str]], *, limit: float) -> list[str]:
    """Labels for points `(x, y, name)`, left of `limit`, shifted vertically so that they do not overlap if possible."""
    taken: list[tuple[float, float, float]] = []  # left, right, baseline
    tags = []
    for x, y, name in places:
        width = 6.5 * len(name)
        left = x + 9 if x + 9 + width < limit else x - 9 - width
        lines = [y - shift if y > _HEIGHT / 3 else y + 8 + shift for shift in _TAG_SHIFTS]  # inside the frame
        free = [
            line
            for line in lines
            if all(abs(line - base) > 13 or left > end or left + width < start for start, end, base in taken)
        ]
        base = free[0] if free else lines[0]
        taken.append((left, left + width, base))
        tags.append(f'<text class="tag" x="{left:.1f}" y="{base:.1f}">{escape(name)}</text>')
    return tags


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
