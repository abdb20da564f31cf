"""Times several model files so that the machine's noise falls on all of them alike, and compares them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import comb
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from torchseg.cores import available_cores
from torchseg.harness.runtimes.process import RuntimeProcess, RuntimeProcessError

NOISY = 1.3  # median over minimum

ENOUGH_ROUNDS = 8  # the least whose quickest and slowest hold the median with 99 % confidence: 1 - 2 / 2^8
_DOUBT = 0.01
_MARGIN = 0.05  # ratios closer to 1 than this help nobody, however sure they are


@dataclass(frozen=True, kw_only=True)
class LatencyConfig:
    """How often each file is timed: `rounds` turns of `repeats` predictions each, one picture at a time.

    Rounds go on, at most to `max_rounds` and for `budget_s` seconds, while other work disturbs the machine or the ratio
    of two files is not sure enough.
    """

    rounds: int = ENOUGH_ROUNDS  # turns that every file takes at least, in alternating order
    repeats: int = 3  # recorded predictions per turn, after 20 ms of others
    warmup: int = 3  # predictions right after loading, not recorded
    threads: int = 1  # that compute one prediction
    max_rounds: int = 15  # turns while a time or ratio is unsure; no more than `rounds` if that is larger
    budget_s: float = 20.0  # no further round begins after so many seconds
    jobs: int = field(default_factory=available_cores)  # files that answer at a time, once nothing is timed any more

    def __post_init__(self) -> None:
        if min(self.rounds, self.repeats, self.threads, self.jobs) < 1:
            raise ValueError(
                f"rounds is {self.rounds}, repeats {self.repeats}, threads {self.threads} and jobs {self.jobs}; "
                "each must be at least 1"
            )
        if self.warmup < 0 or self.budget_s < 0:
            raise ValueError(f"warmup is {self.warmup} and budget_s {self.budget_s}; give 0 or more")

    @property
    def most_rounds(self) -> int:
        """Turns that a file takes at most."""
        return max(self.rounds, self.max_rounds)


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Every recorded prediction of one file, in milliseconds, `(rounds, repeats)`."""

    recorded_ms: NDArray[np.float64]

    @property
    def median_ms(self) -> float:
        """Half of the predictions were quicker."""
        return float(np.median(self.recorded_ms))

    @property
    def min_ms(self) -> float:
        """The quickest prediction: what the code costs when nothing disturbs it."""
        return float(self.recorded_ms.min())

    @property
    def noisy(self) -> bool:
        """Whether the median is so far above the minimum that something else was using the machine."""
        return self.median_ms > NOISY * self.min_ms

    @property
    def p90_ms(self) -> float:
        """Nine of ten predictions were quicker."""
        return float(np.percentile(self.recorded_ms, 90))


def measure_latency(
    processes: Sequence[RuntimeProcess],
    images: Sequence[NDArray[np.float32]],
    config: LatencyConfig,
    *,
    pairs: Collection[tuple[int, int]] = (),
    after_round: Callable[[], None] = lambda: None,
) -> list[Latency | RuntimeProcessError]:
    """Times loaded processes round-robin, in reverse order every other round.

    Args:
        processes: one per file, loaded.
        images: one normalised real picture for each process, `(1, C, H, W)`, of the size that its file takes.
        config: rounds, repeats and warm-up.
        pairs: places of two processes whose ratio is wanted.
        after_round: called when every file has had its turn, at most `most_rounds` times.

    Returns:
        In the order of `processes`, the latency or the failure that ended its timing; the others go on.
    """
    taken: list[list[list[float]]] = [[] for _ in processes]
    failed: dict[int, RuntimeProcessError] = {}

    def turn(at: int, repeats: int, warmup: int) -> list[float]:
        try:
            return processes[at].time(images[at], repeats=repeats, warmup=warmup)
        except RuntimeProcessError as failure:
            failed[at] = failure
            return []

    begin = time.monotonic()
    for at in range(len(processes)):
        turn(at, 0, config.warmup)
    for number in range(config.most_rounds):
        if number >= config.rounds:
            known = {at: Latency(recorded_ms=np.array(each)) for at, each in enumerate(taken) if at not in failed}
            if time.monotonic() - begin > config.budget_s or _settled(known, pairs):
                break
        order = range(len(processes)) if number % 2 == 0 else reversed(range(len(processes)))
        for at in order:
            if at not in failed:
                taken[at].append(turn(at, config.repeats, 1))
        after_round()
    return [failed.get(at) or Latency(recorded_ms=np.array(taken[at])) for at in range(len(processes))]


def _settled(known: Mapping[int, Latency], pairs: Collection[tuple[int, int]]) -> bool:
    """Whether nothing disturbs the files that have not failed, and their ratios are sure enough."""
    return not any(each.noisy for each in known.values()) and all(
        latency_ratio(known[ours].recorded_ms, known[theirs].recorded_ms).conclusive
        for ours, theirs in pairs
        if ours in known and theirs in known
    )


@dataclass(frozen=True, kw_only=True)
class LatencyRatio:
    """Time of one file over the time of another, with a 99 % confidence interval; below 1 is quicker.

    With fewer than `ENOUGH_ROUNDS` there is no such interval: `low` and `high` are the extremes, and nothing is said.

    Attributes:
        value: median over rounds of the ratio of their quickest predictions.
        low: lower end of its interval.
        high: upper end.
        minima: ratio of the quickest predictions of all rounds. A machine that changes its pace for seconds makes
            neighbouring rounds alike, and the interval too narrow; both ratios are rarely wrong on the same side.
        rounds: that both were timed in.
    """

    value: float
    low: float
    high: float
    minima: float
    rounds: int

    @property
    def verdict(self) -> Literal["faster", "same", "slower"]:
        """`same` unless there are enough rounds and everything lies on one side of 1, both ratios by more than 5 %."""
        if self.rounds >= ENOUGH_ROUNDS:
            if self.high < 1 and max(self.value, self.minima) < 1 - _MARGIN:
                return "faster"
            if self.low > 1 and min(self.value, self.minima) > 1 + _MARGIN:
                return "slower"
        return "same"

    @property
    def conclusive(self) -> bool:
        """Whether further rounds would hardly change what is said: the interval is narrow, or far from 1."""
        narrow = self.high - self.low <= 2 * _MARGIN * self.value
        apart = self.high < 1 - _MARGIN or self.low > 1 + _MARGIN
        return self.rounds >= ENOUGH_ROUNDS and (narrow or apart)


def latency_ratio(ours_ms: NDArray[np.float64], theirs_ms: NDArray[np.float64]) -> LatencyRatio:
    """Compares two files that were timed in the same rounds.

    What disturbs one turn of a round mostly disturbs its neighbours too, so the ratio is taken within a round, of the
    quickest prediction of each turn, and its median is quoted. The interval is that of the sign test: it lies between
    two of the sorted ratios and assumes no distribution (Conover, Practical Nonparametric Statistics, 3.2).

    Args:
        ours_ms: `(rounds, repeats)`.
        theirs_ms: same shape, timed in alternation with ours.

    Raises:
        ValueError: if the two were not timed in the same rounds.
    """
    if ours_ms.shape != theirs_ms.shape:
        raise ValueError(f"timings are {ours_ms.shape} and {theirs_ms.shape}; time both files in the same rounds")
    ratios = np.sort(ours_ms.min(axis=1) / theirs_ms.min(axis=1))  # (rounds,)
    outside = _outside(len(ratios))
    return LatencyRatio(
        value=float(np.median(ratios)),
        low=float(ratios[outside]),
        high=float(ratios[-1 - outside]),
        minima=float(ours_ms.min() / theirs_ms.min()),
        rounds=len(ratios),
    )


def _outside(count: int) -> int:
    """How many of `count` sorted values lie below, and above, a 99 % confidence interval of their median."""
    chance, outside = 2 / 2**count, 0  # that the median lies outside of the interval
    while (chance := chance + 2 * comb(count, outside + 1) / 2**count) <= _DOUBT:
        outside += 1
    return outside
