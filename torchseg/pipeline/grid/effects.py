"""Main effects: how a metric changes from one level of a factor to another while all other factors stay fixed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Row = Mapping[str, str]
EFFECT_COLUMNS = (
    *("factor", "level", "against", "metric", "kind", "effect", "low", "high", "settings", "mean"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A column of the tables; effects on it are differences, or ratios if its values span powers of ten."""

    column: str
    kind: Literal["difference", "ratio"]
    title: str


METRICS = (
    Metric(column="iou", kind="difference", title="IoU, points"),
    Metric(column="time_ms", kind="ratio", title="time an image, times"),
    Metric(column="memory_mb", kind="ratio", title="memory, times"),
    Metric(column="size_bytes", kind="ratio", title="file size, times"),
)


@dataclass(frozen=True, kw_only=True)
class Effect:
    """The effect of one level compared with the first level of its factor.

    Attributes:
        factor: name.
        level: name.
        against: name of the first level.
        metric: the column that changes.
        value: mean of the differences over settings, or geometric mean of the ratios.
        low: lower end of its 95 % interval; NaN with a single setting.
        high: upper end; NaN with a single setting.
        settings: number of pairs of trainings, or of trainings if the level does not change the training, in which
            both levels have a value.
        mean: mean of the metric at this level, over those settings.
    """

    factor: str
    level: str
    against: str
    metric: Metric
    value: float
    low: float
    high: float
    settings: int
    mean: float

    def row(self) -> dict[str, object]:
        """The row for `main_effects.csv`."""
        values = {"effect": self.value, "low": self.low, "high": self.high, "mean": self.mean}
        rounded = {name: float(f"{value:.6g}") for name, value in values.items()}
        names = {"factor": self.factor, "level": self.level, "against": self.against, "settings": self.settings}
        return names | {"metric": self.metric.column, "kind": self.metric.kind} | rounded


def main_effects(rows: Sequence[Row], factors: Mapping[str, Sequence[str]], metric: Metric) -> list[Effect]:
    """The effect of every level of every factor compared with the factor's first level.

    Cells are paired: two that differ in this factor alone give one difference. Files of one training share its chance,
    so the pairs of the same two trainings count once, with their mean. The interval is Student's, over those means, so
    it shows how much the effect depends on the other factors. It covers the randomness of a seed only as far as that
    differs between settings.

    Args:
        rows: one per cell, with the name of its level for every factor, the metric, empty if unknown, and the name of
            its `training`; without one, every cell counts as a training of its own.
        factors: names of the levels, by factor.
        metric: the column to compare.

    Returns:
        Effects in the order of factors and levels, leaving out those for which no pair of cells has values.
    """
    cells = {tuple(row[name] for name in factors): row for row in rows}
    effects = []
    for at, (factor, levels) in enumerate(factors.items()):
        for level in levels[1:]:
            pairs = [
                (before, row)
                for key, row in cells.items()
                if key[at] == level and (before := cells.get((*key[:at], levels[0], *key[at + 1 :]))) is not None
            ]
            settings = _settings(pairs, metric)
            if settings:
                value, low, high = _interval([each.change for each in settings], metric)
                effects.append(
                    Effect(
                        factor=factor,
                        level=level,
                        against=levels[0],
                        metric=metric,
                        value=value,
                        low=low,
                        high=high,
                        settings=len(settings),
                        mean=statistics.fmean(each.after for each in settings),
                    )
                )
    return effects


@dataclass(frozen=True, kw_only=True)
class _Setting:
    """The cells of one pair of trainings: mean change (the logarithm for a ratio), and mean of the metric after it."""

    change: float
    after: float


def _settings(pairs: Sequence[tuple[Row, Row]], metric: Metric) -> list[_Setting]:
    """Joins the pairs of cells that come from the same two trainings; pairs without both values are left out."""
    groups: dict[object, list[tuple[float, float]]] = {}
    for at, (before, after) in enumerate(pairs):
        old, new = _number(before, metric), _number(after, metric)
        if old is not None and new is not None:
            trainings = (before.get("training"), after.get("training"))
            groups.setdefault(trainings if all(trainings) else at, []).append((old, new))
    return [
        _Setting(
            change=statistics.fmean(_change(pair, metric) for pair in known),
            after=statistics.fmean(after for _, after in known),
        )
        for known in groups.values()
    ]


def student_quantile(degrees: int, share: float = 0.975) -> float:
    """Quantile of Student's t distribution, for a share above 0.5.

    The substitution `t = sqrt(degrees) tan(angle)` turns the density into a power of the cosine on a finite interval,
    which is integrated numerically.

    Args:
        degrees: of freedom, at least 1.
        share: probability below the quantile, in [0.5, 1).
    """
    angles = np.linspace(0, np.pi / 2, 200_001)
    density = np.cos(angles) ** (degrees - 1)
    area = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)])
    angle = np.interp(2 * share - 1, area / area[-1], angles)
    return float(math.sqrt(degrees) * math.tan(angle))


def _number(row: Row, metric: Metric) -> float | None:
    """The metric's value in a row; None if it is missing, or not above 0 for a ratio."""
    try:
        value = float(row[metric.column])
    except ValueError:
        return None
    return value if metric.kind == "difference" or value > 0 else None


def _change(pair: tuple[float, float], metric: Metric) -> float:
    before, after = pair
    return after - before if metric.kind == "difference" else math.log(after / before)


def _interval(changes: Sequence[float], metric: Metric) -> tuple[float, float, float]:
    mean = statistics.fmean(changes)
    if len(changes) > 1:
        error = statistics.stdev(changes) / math.sqrt(len(changes)) * student_quantile(len(changes) - 1)
    else:
        error = math.nan
    ends = (mean, mean - error, mean + error)
    return ends if metric.kind == "difference" else (math.exp(ends[0]), math.exp(ends[1]), math.exp(ends[2]))
