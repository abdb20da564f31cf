from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchseg.train.schedule import warmup_cosine


@given(st.integers(2, 500), st.floats(0, 0.9))
def test_the_rate_climbs_to_its_peak_and_never_rises_again(total, warmup):
    factors = [warmup_cosine(step, total, warmup=warmup) for step in range(total)]
    peak = factors.index(max(factors))
    assert max(factors) == pytest.approx(1)
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)
    assert min(factors) > 0


def test_half_of_the_way_down_is_half_of_the_peak():
    assert warmup_cosine(54, 100, warmup=0.1) == pytest.approx(0.5, abs=0.02)
