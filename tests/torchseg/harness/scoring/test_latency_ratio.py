from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchseg.harness.scoring.latency_ratio import ENOUGH_ROUNDS, latency_ratio


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
    assert (ratio.verdict, ratio.settled) == ("same", False)


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
