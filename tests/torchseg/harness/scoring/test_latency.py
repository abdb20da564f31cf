from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchseg.harness.runtimes.process import RuntimeProcess, RuntimeProcessError
from torchseg.harness.scoring.latency import ENOUGH_ROUNDS, Latency, LatencyConfig, latency_ratio, measure_latency

IMAGE = np.zeros((1, 3, 4, 4), np.float32)


class Clock:
    """Stands in for a process: takes `cost` ms and notes the call in a shared diary; fails at turn `fails_at`.

    Every other turn takes longer by the share `drift`.
    """

    def __init__(
        self, name: str, cost: float, diary: list[Any], *, fails_at: int = -1, spread: float = 0.1, drift: float = 0
    ) -> None:
        self.name, self.cost, self.diary, self.fails_at, self.turns = name, cost, diary, fails_at, 0
        self.spread, self.drift = spread, drift

    def time(self, image: np.ndarray, *, repeats: int, warmup: int) -> list[float]:
        if self.turns == self.fails_at:
            raise RuntimeProcessError(f"{self.name} broke")
        self.turns += 1
        self.diary.append((self.name, repeats, warmup))
        pace = 1 + self.drift * (self.turns % 2)
        return [self.cost * pace + at * self.spread for at in range(repeats)]


def measure(clocks: list[Clock], config: LatencyConfig, *, pairs: Sequence[tuple[int, int]] = ()) -> list[Any]:
    return measure_latency(cast(list[RuntimeProcess], clocks), [IMAGE] * len(clocks), config, pairs=pairs)


def test_rounds_alternate_their_order_after_a_warm_up():
    diary: list[Any] = []
    measure([Clock("a", 1, diary), Clock("b", 2, diary)], LatencyConfig(rounds=3, repeats=2, warmup=3))
    warm, turn = (0, 3), (2, 1)
    expected = [("a", *warm), ("b", *warm)]
    expected += [("a", *turn), ("b", *turn), ("b", *turn), ("a", *turn), ("a", *turn), ("b", *turn)]
    assert diary == expected


def test_every_recorded_prediction_is_kept_and_summed_up():
    (latency,) = measure([Clock("a", 10, [])], LatencyConfig(rounds=5, repeats=3))
    assert latency.recorded_ms.shape == (5, 3)
    assert (latency.min_ms, latency.median_ms) == (10, 10.1)
    assert latency.min_ms <= latency.median_ms <= latency.p90_ms <= 10.2


def test_a_noisy_file_is_timed_longer_and_is_called_noisy():
    (latency,) = measure([Clock("a", 10, [], spread=5)], LatencyConfig(rounds=5, max_rounds=9))
    assert latency.noisy
    assert len(latency.recorded_ms) == 9


def test_rounds_go_on_while_a_wanted_ratio_is_unsure():
    """Neither clock is noisy, but the quicker one of a round changes."""
    clocks = [Clock("a", 10, [], drift=0.12), Clock("b", 10, [])]
    config = LatencyConfig(rounds=8, max_rounds=12)
    assert [len(each.recorded_ms) for each in measure(clocks, config)] == [8, 8]
    assert [len(each.recorded_ms) for each in measure(clocks, config, pairs=[(0, 1)])] == [12, 12]
    clocks[1].cost = 30  # surely slower
    assert [len(each.recorded_ms) for each in measure(clocks, config, pairs=[(0, 1)])] == [8, 8]


def test_no_round_begins_when_the_time_is_spent():
    (latency,) = measure([Clock("a", 10, [], spread=5)], LatencyConfig(rounds=5, max_rounds=9, budget_s=0))
    assert len(latency.recorded_ms) == 5


@pytest.mark.parametrize("fails_at", [0, 2])
def test_a_process_that_fails_does_not_stop_the_others(fails_at):
    clocks = [Clock("a", 1, [], fails_at=fails_at), Clock("b", 2, [])]
    failure, latency = measure(clocks, LatencyConfig(rounds=4))
    assert isinstance(failure, RuntimeProcessError)
    assert isinstance(latency, Latency)
    assert latency.recorded_ms.shape == (4, 3)


@pytest.mark.parametrize("values", [{"rounds": 0}, {"repeats": 0}, {"threads": 0}])
def test_a_config_without_any_measurement_is_refused(values):
    with pytest.raises(ValueError, match="each must be at least 1"):
        LatencyConfig(**values)


def test_a_negative_warm_up_is_refused():
    with pytest.raises(ValueError, match=r"warmup is -1 .*give 0 or more"):
        LatencyConfig(warmup=-1)


def noisy_machine(random: np.random.Generator, cost: float, rounds: int = ENOUGH_ROUNDS) -> np.ndarray:
    """Predictions of `cost` ms on a machine whose pace changes and where a third of them is disturbed."""
    disturbed = random.random((rounds, 3)) < 0.3
    return cost * (1 + 0.03 * random.random((rounds, 3)) + 0.4 * disturbed * random.random((rounds, 3)))


@pytest.mark.parametrize("rounds", [8, 11, 15, 40])
def test_the_interval_misses_the_truth_once_in_a_hundred_tries_at_most(rounds):
    random, tries = np.random.default_rng(0), 2000
    ratios = [latency_ratio(*(noisy_machine(random, 10, rounds) for _ in range(2))) for _ in range(tries)]
    assert sum(not each.low <= 1 <= each.high for each in ratios) <= 0.01 * tries + 3 * (0.01 * tries) ** 0.5
    assert sum(each.verdict != "same" for each in ratios) <= 0.01 * tries


def test_too_few_rounds_say_nothing():
    random = np.random.default_rng(0)
    ratio = latency_ratio(noisy_machine(random, 5, rounds=7), noisy_machine(random, 10, rounds=7))
    assert ratio.high < 0.6
    assert (ratio.verdict, ratio.conclusive) == ("same", False)


def test_half_the_time_is_faster_and_twice_the_time_slower_in_every_try():
    random = np.random.default_rng(0)
    for _ in range(100):
        assert latency_ratio(noisy_machine(random, 5), noisy_machine(random, 10)).verdict == "faster"
        assert latency_ratio(noisy_machine(random, 10), noisy_machine(random, 5)).verdict == "slower"


@settings(deadline=None)
@given(st.integers(0, 2**31), st.floats(0.1, 10))
def test_the_ratio_lies_in_its_interval_and_does_not_depend_on_the_unit(seed, unit):
    random = np.random.default_rng(seed)
    ours, theirs = noisy_machine(random, 7), noisy_machine(random, 9)
    ratio = latency_ratio(ours, theirs)
    assert ratio.low <= ratio.value <= ratio.high
    assert latency_ratio(ours * unit, theirs * unit).value == pytest.approx(ratio.value)


def test_timings_of_different_rounds_are_refused():
    with pytest.raises(ValueError, match="time both files in the same rounds"):
        latency_ratio(np.ones((5, 3)), np.ones((4, 3)))
