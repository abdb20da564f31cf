"""Main effects: what going from one level of a factor to another does, everything else kept."""

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
    """A column whose effects are differences, or ratios where its values spread over powers of ten."""

    column: str
    kind: Literal["difference", "ratio"]
    title: str


METRICS = (
    Metric(column="iou", kind="difference", title="IoU, points"),
    Metric(column="time_ms", kind="ratio", title="time a picture, times"),
    Metric(column="memory_mb", kind="ratio", title="memory, times"),
    Metric(column="size_bytes", kind="ratio", title="file size, times"),
)


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What a level does against the first level of its factor.

    Attributes:
        factor: name.
        level: name.
        against: name of the first level.
        metric: what it does it to.
        value: mean over settings of the difference, or geometric mean of the ratio.
        low: lower end of its 95 % interval; NaN with a single setting.
        high: upper end.
        settings: combinations of the other factors in which both levels have a value.
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
        """For `main_effects.csv`."""
        values = {"effect": self.value, "low": self.low, "high": self.high, "mean": self.mean}
        rounded = {name: float(f"{value:.6g}") for name, value in values.items()}
        names = {"factor": self.factor, "level": self.level, "against": self.against, "settings": self.settings}
        return names | {"metric": self.metric.column, "kind": self.metric.kind} | rounded


def main_effects(rows: Sequence[Row], factors: Mapping[str, Sequence[str]], metric: Metric) -> list[Effect]:
    """Every level of every factor against the factor's first level.

    Cells are paired: two that differ in this factor alone give one difference. The interval is Student's, over those
    differences, so it says how far the effect depends on the other factors; one seed's luck is in it only as far as
    it differs between settings.

    Args:
        rows: one a cell: the name of its level for every factor, and the metric, empty where it is not known.
        factors: names of their levels.
        metric: which column.

    Returns:
        Effects in the order of factors and levels; without those for which no pair of cells has values.
    """
    values = {tuple(row[name] for name in factors): _number(row, metric) for row in rows}
    effects = []
    for at, (factor, levels) in enumerate(factors.items()):
        for level in levels[1:]:
            pairs = [
                (values.get((*key[:at], levels[0], *key[at + 1 :])), value)
                for key, value in values.items()
                if key[at] == level
            ]
            known = [(before, after) for before, after in pairs if before is not None and after is not None]
            if known:
                value, low, high = _interval([_change(pair, metric) for pair in known], metric)
                mean = statistics.fmean(after for _, after in known)
                settings = len(known)
                effects.append(
                    Effect(
                        factor=factor,
                        level=level,
                        against=levels[0],
                        metric=metric,
                        value=value,
                        low=low,
                        high=high,
                        settings=settings,
                        mean=mean,
                    )
                )
    return effects


def student_quantile(degrees: int, share: float = 0.975) -> float:
    """Quantile of Student's distribution above the median.

    With `t = sqrt(degrees) tan(angle)` the density is a power of the cosine on a finite interval, which is summed up.
    """
    angles = np.linspace(0, np.pi / 2, 200_001)
    density = np.cos(angles) ** (degrees - 1)
    area = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)])
    angle = np.interp(2 * share - 1, area / area[-1], angles)
    return float(math.sqrt(degrees) * math.tan(angle))


def _number(row: Row, metric: Metric) -> float | None:
    """A ratio needs values above 0."""
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
