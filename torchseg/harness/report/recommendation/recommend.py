"""Recommends one model file of a run for a target, and names what else is worth considering."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torchseg.harness.report.run_record import Row, number, split_of
from torchseg.harness.scoring.measurement import TEST
from torchseg.modelfile.kinds import TARGET_FORMATS

BUDGET = 0.01  # mean IoU, in [0, 1], that may be given up for size or speed
_CLOSE = 1.05  # costs within this factor of the best count as equal: minima of repeated timings differ by that much
_CLOSE_MIOU = 0.001
_REFERENCES = ("teacher", "original", "trained", "student")  # stages, the preferred one first
_FLOORS = ("student", "original", "trained")
_LATENCY, _SIZE, _DOWNLOAD = "latency_ms_min", "size_bytes", "gzip_bytes"


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a file will run.

    Attributes:
        title: with its article.
        costs: columns of scores.csv to keep low, the most important one first.
        rule: what the recommended file is.
    """

    title: str
    costs: tuple[str, ...]
    rule: str


TARGETS: Mapping[str, Target] = {
    "phone": Target(title="a phone", costs=(_LATENCY, _SIZE), rule="the fastest TFLite file"),
    "server-cpu": Target(title="a server's CPU", costs=(_LATENCY, _SIZE), rule="the fastest ONNX file"),
    "browser": Target(
        title="a browser", costs=(_DOWNLOAD, _LATENCY), rule="the ONNX file that is the smallest download"
    ),
    "smallest": Target(title="the least storage", costs=(_SIZE, _LATENCY), rule="the smallest file"),
}


@dataclass(frozen=True, kw_only=True)
class Factor:
    """One part of a speed-up; the parts multiply to the whole."""

    source: str  # network, runtime or precision
    times: float


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """The file to take for a target.

    Attributes:
        target: where it will run.
        file: the row of the recommended file.
        reference: the row that the file is compared with: the teacher in PyTorch, or the first network of the run.
        floor: the network that the file may be at most `BUDGET` worse than, usually the student in PyTorch.
        within: whether it is at most that much worse; if no file is, the most accurate one is recommended.
        factors: of the speed-up over `reference`; empty if a row is missing that they need.
        others: rows of other files by what they are best at.
    """

    target: Target
    file: Row
    reference: Row
    floor: Row
    within: bool
    factors: Sequence[Factor]
    others: Mapping[str, Row]


def default_target(rows: Sequence[Row]) -> str:
    """`phone` if there are TFLite files, else `server-cpu`."""
    return "phone" if any(row["format"] == "tflite" for row in rows) else "server-cpu"


def recommend(rows: Sequence[Row], *, target: str | None = None) -> Recommendation | None:
    """Chooses among the exported files that have scores and do not have a failed certificate.

    Only rows with the smallest number of threads count, so that all times are comparable. Files of one format and
    precision whose networks have equally many multiply-adds run the same operations: their times differ by chance
    alone, and the smallest of them counts for each.

    Args:
        rows: of scores.csv.
        target: a key of `TARGETS`; None takes `default_target`.

    Returns:
        None if nothing was exported in a format that runs there, or if the scores are not of the test split.
    """
    if split_of(rows) != TEST:
        return None
    name = target or default_target(rows)
    scored = _scored(rows)
    every = [row for row in scored if row["format"] != "torch" and number(row, _LATENCY) is not None]
    fitting = [row for row in every if row["format"] in TARGET_FORMATS[name]]
    if not fitting:
        return None
    reference, floor = _network(scored, _REFERENCES), _network(scored, _FLOORS)
    accepted = [row for row in fitting if _is_within(row, floor)]
    cost_of = _costs(scored)
    best = _cheapest(accepted, TARGETS[name].costs, cost_of) if accepted else max(fitting, key=_miou)
    return Recommendation(
        target=TARGETS[name],
        file=best,
        reference=reference,
        floor=floor,
        within=bool(accepted),
        factors=_factors(best, reference, scored),
        others=_others([row for row in every if _is_within(row, floor)], best, cost_of),
    )


def _scored(rows: Sequence[Row]) -> list[Row]:
    known = [row for row in rows if number(row, "miou") is not None and row.get("certified") != "false"]
    counts = [count for row in known if (count := number(row, "threads")) is not None]
    return [row for row in known if not counts or number(row, "threads") in (None, min(counts))]


def _network(rows: Sequence[Row], stages: Sequence[str]) -> Row:
    """The checkpoint of the first of these stages that was scored; else the most accurate checkpoint, or file."""
    checkpoints = [row for row in rows if row["format"] == "torch"]
    wanted = [row for stage in stages for row in checkpoints if row["stage"] == stage]
    return wanted[0] if wanted else max(checkpoints or rows, key=_miou)


_CostOf = Callable[[Row, str], float]


def _costs(rows: Sequence[Row]) -> _CostOf:
    """Gives the value of a column; of latency the smallest of all files that run the same operations.

    A missing value is infinite.
    """
    multiply_adds = {row["stage"]: row.get("multiply_adds") for row in rows if row["format"] == "torch"}

    def operations(row: Row) -> tuple[str | None, ...]:
        kind = row["artifact"].rpartition("/")[2].removeprefix(f"{row['stage']}.")  # int8.packed.onnx
        return (multiply_adds.get(row["stage"]) or row["stage"], kind, row.get("runtime"))

    fastest: dict[tuple[str | None, ...], float] = {}
    for row in rows:
        key = operations(row)
        fastest[key] = min(fastest.get(key, float("inf")), _value(row, _LATENCY))
    return lambda row, column: fastest[operations(row)] if column == _LATENCY else _value(row, column)


def _cheapest(rows: Sequence[Row], costs: Sequence[str], cost_of: _CostOf) -> Row:
    """The row with the lowest first cost; among close ones the more accurate, then those with lower further costs."""
    left = _close(rows, costs[0], cost_of)
    most = max(map(_miou, left))
    left = [row for row in left if _miou(row) >= most - _CLOSE_MIOU]
    for cost in costs[1:]:
        left = _close(left, cost, cost_of)
    return min(left, key=lambda row: cost_of(row, costs[0]))


def _close(rows: Sequence[Row], cost: str, cost_of: _CostOf) -> list[Row]:
    least = min(cost_of(row, cost) for row in rows)
    return [row for row in rows if cost_of(row, cost) <= least * _CLOSE]


def _factors(file: Row, reference: Row, rows: Sequence[Row]) -> list[Factor]:
    """Splits the speed-up at the file's own network in PyTorch, and at that network's fp32 file in the same runtime."""
    own = next((row for row in rows if row["stage"] == file["stage"] and row["format"] == "torch"), None)
    name = f"{file['stage']}.fp32.{file['format']}"
    plain = next(
        (
            row
            for row in rows
            if row["artifact"].rpartition("/")[2] == name and row.get("runtime") == file.get("runtime")
        ),
        None,
    )
    if own is None or plain is None:
        return []
    ends = [reference, own, plain, file]
    times = [number(row, _LATENCY) for row in ends]
    sources = ("network", "runtime", "precision")
    steps = zip(sources, ends, ends[1:], times, times[1:], strict=False)
    changed = [(source, a, b) for source, before, after, a, b in steps if before is not after]
    if file.get("precision") == "fp32":  # a packed file is a second fp32 file of the same network
        changed = [step for step in changed if step[0] != "precision"]
    return [Factor(source=source, times=before / after) for source, before, after in changed if before and after]


def _others(rows: Sequence[Row], best: Row, cost_of: _CostOf) -> dict[str, Row]:
    """The smallest, the fastest and the most accurate file, as far as they are clearly better at it than `best`."""
    found = {}
    for title, cost in (("smallest", _SIZE), ("fastest", _LATENCY)):
        least = min(rows, key=lambda row: (cost_of(row, cost), -_miou(row)), default=best)
        if cost_of(least, cost) * _CLOSE < cost_of(best, cost):
            found[title] = least
    most = max(rows, key=lambda row: (round(_miou(row), 4), -cost_of(row, _SIZE)), default=best)
    if _miou(most) > _miou(best) + _CLOSE_MIOU:
        found["most accurate"] = most
    return found


def _is_within(row: Row, floor: Row) -> bool:
    return _miou(row) >= _miou(floor) - BUDGET


def _miou(row: Row) -> float:
    value = number(row, "miou")
    return float("-inf") if value is None else value


def _value(row: Row, column: str) -> float:
    value = number(row, column)
    return float("inf") if value is None else value
