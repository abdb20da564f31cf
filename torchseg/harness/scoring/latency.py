"""Times several model files in alternation, so that noise affects all of them alike, and compares them."""

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

ENOUGH_ROUNDS = 8  # fewest rounds whose extremes enclose the median with 99 % confidence: 1 - 2 / 2^8
_DOUBT = 0.01
_MARGIN = 0.05  # differences below 5 % do not matter, however certain they are


@dataclass(frozen=True, kw_only=True)
class LatencyConfig:
    """How each file is timed: in `rounds` rounds of `repeats` predictions each, at batch size 1.

    Further rounds follow, up to `max_rounds` and until `budget_s` seconds have passed, while timings are noisy or the
    latency ratio of two files is not conclusive.
    """

    rounds: int = ENOUGH_ROUNDS  # minimum number of rounds; the order of the files alternates
    repeats: int = 3  # recorded predictions per file and round, after 20 ms of unrecorded ones
    warmup: int = 3  # unrecorded predictions right after loading
    threads: int = 1  # threads per prediction
    max_rounds: int = 15  # maximum number of rounds; `rounds` if that is larger
    budget_s: float = 20.0  # seconds after which no further round begins
    jobs: int = field(default_factory=available_cores)  # files that predict at a time once timing is over

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
        """Maximum number of rounds."""
        return max(self.rounds, self.max_rounds)


@dataclass(frozen=True, kw_only=True)
class Latency:
    """The latency of one file: every recorded prediction in milliseconds, `(rounds, repeats)`."""

    recorded_ms: NDArray[np.float64]

    @property
    def median_ms(self) -> float:
        """Median latency in milliseconds: half of the predictions were faster."""
        return float(np.median(self.recorded_ms))

    @property
    def min_ms(self) -> float:
        """Minimum latency in milliseconds: the cost of the code when nothing disturbs it."""
        return float(self.recorded_ms.min())

    @property
    def noisy(self) -> bool:
        """Whether the median is far above the minimum, which means that something else was using the machine."""
        return self.median_ms > NOISY * self.min_ms

    @property
    def p90_ms(self) -> float:
        """90th percentile in milliseconds: nine of ten predictions were faster."""
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
        processes: one loaded process per file.
        images: one normalised image per process, `(1, C, H, W)`, of the size that its file takes.
        config: rounds, repeats and warm-up.
        pairs: index pairs of processes whose latency ratio is wanted.
        after_round: called after each round, at most `most_rounds` times.

    Returns:
        For each process, in order, its latency, or the error that ended its timing; the other processes continue.
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
    """Whether no timing in `known` (files that have not failed) is noisy and all wanted ratios are conclusive."""
    return not any(each.noisy for each in known.values()) and all(
        latency_ratio(known[ours].recorded_ms, known[theirs].recorded_ms).conclusive
        for ours, theirs in pairs
        if ours in known and theirs in known
    )


@dataclass(frozen=True, kw_only=True)
class LatencyRatio:
    """Latency of one file divided by that of another, with a 99 % confidence interval; below 1 the first is faster.

    With fewer than `ENOUGH_ROUNDS` rounds there is no such interval: `low` and `high` are then the smallest and largest
    ratio, and the verdict is `same`.

    Attributes:
        value: median over rounds of the ratio of the fastest predictions.
        low: lower end of the interval.
        high: upper end of the interval.
        minima: ratio of the fastest predictions over all rounds. If the CPU's speed changes for seconds at a time,
            neighbouring rounds are alike and the interval is too narrow; both ratios are rarely wrong in the same
            direction.
        rounds: rounds in which both files were timed.
    """

    value: float
    low: float
    high: float
    minima: float
    rounds: int

    @property
    def verdict(self) -> Literal["faster", "same", "slower"]:
        """`same`, unless rounds suffice and the interval and, by over 5 %, both ratios lie on the same side of 1."""
        if self.rounds >= ENOUGH_ROUNDS:
            if self.high < 1 and max(self.value, self.minima) < 1 - _MARGIN:
                return "faster"
            if self.low > 1 and min(self.value, self.minima) > 1 + _MARGIN:
                return "slower"
        return "same"

    @property
    def conclusive(self) -> bool:
        """Whether further rounds would hardly change the verdict: the interval is narrow, or far from 1."""
        narrow = self.high - self.low <= 2 * _MARGIN * self.value
        apart = self.high < 1 - _MARGIN or self.low > 1 + _MARGIN
        return self.rounds >= ENOUGH_ROUNDS and (narrow or apart)


def latency_ratio(ours_ms: NDArray[np.float64], theirs_ms: NDArray[np.float64]) -> LatencyRatio:
    """Latency ratio of two files that were timed in the same rounds.

    A disturbance mostly affects all files of a round, so the ratio is taken per round, between the fastest predictions
    of the two files; its median is reported. The interval is that of the sign test: its ends are two of the sorted
    ratios, and it assumes no distribution. Source: Conover, Practical Nonparametric Statistics, 3.2.

    Args:
        ours_ms: latencies in milliseconds, `(rounds, repeats)`.
        theirs_ms: latencies of the other file, same shape, timed in alternation.

    Raises:
        ValueError: if the shapes differ.
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
    """How many of `count` sorted values lie on each side of a 99 % confidence interval of their median."""
    chance, outside = 2 / 2**count, 0  # chance that the median lies outside the interval
    while (chance := chance + 2 * comb(count, outside + 1) / 2**count) <= _DOUBT:
        outside += 1
    return outside
