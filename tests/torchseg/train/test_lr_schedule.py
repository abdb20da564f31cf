from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchseg.train.lr_schedule import SCHEDULES, warmup_cosine, warmup_stable_decay


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@given(total=st.integers(2, 500), warmup=st.floats(0, 0.75))
def test_the_rate_climbs_to_its_peak_and_never_rises_again(schedule, total, warmup):
    factors = [schedule(step, total, warmup=warmup) for step in range(total)]
    peak = factors.index(max(factors))
    assert max(factors) == pytest.approx(1)
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)
    assert min(factors) > 0


def test_half_of_the_way_down_is_half_of_the_peak():
    assert warmup_cosine(54, 100, warmup=0.1) == pytest.approx(0.5, abs=0.02)


def test_between_climb_and_fall_the_rate_is_level():
    factors = [warmup_stable_decay(step, 100, warmup=0.1) for step in range(100)]
    assert factors[9:81] == [1.0] * 72
    assert factors[90] == pytest.approx(0.5)
    assert factors[99] == pytest.approx(0.05)
