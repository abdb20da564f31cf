from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchseg.compress import Schedule, ScheduleConfig, polynomial_decay

shares = st.floats(0, 0.99)


def _schedule(*, epochs=10, steps_per_epoch=10, **settings):
    return Schedule(ScheduleConfig(**settings), epochs=epochs, steps_per_epoch=steps_per_epoch)


def test_half_way_seven_eighths_of_the_climb_are_done():
    assert polynomial_decay(50, initial=0, final=0.8, begin=0, end=100) == pytest.approx(0.8 * 7 / 8)


def test_power_one_is_a_straight_line():
    assert polynomial_decay(30, initial=0.2, final=0.8, begin=20, end=40, power=1) == pytest.approx(0.5)


@given(shares, shares, st.integers(1, 40), st.integers(1, 9), st.integers(0, 40), st.floats(0.5, 5))
def test_the_share_never_falls_and_ends_on_its_target(initial, final, epochs, steps, begin, power):
    total = epochs * steps
    mode = "gradual" if total - begin >= 10 else "one_shot"
    settings = {"mode": mode, "initial": initial, "begin": min(begin, total), "end": "100%", "power": power}
    schedule = _schedule(epochs=epochs, steps_per_epoch=steps, **settings)
    shares = [schedule.sparsity(step, final=final) for step in range(total + 1)]
    assert shares == sorted(shares)
    assert shares[-1] == final
    assert schedule.plan(final=final)[-1] == final


@given(st.integers(1, 30), st.integers(0, 60))
def test_the_last_update_is_the_end_whatever_the_frequency(frequency, begin):
    schedule = _schedule(epochs=40, begin=begin, end="100%", frequency=frequency)
    assert schedule.updates[-1] == schedule.end == 400
    assert schedule.is_update(400)
    assert not schedule.is_update(401)


@pytest.mark.parametrize(
    ("moment", "step"), [(40, 40), ("40", 40), ("40 steps", 40), ("4 epochs", 40), ("1.5 epochs", 15), ("80%", 80)]
)
def test_moments_are_steps_epochs_or_shares_of_the_training(moment, step):
    assert _schedule(end=moment).end == step


def test_between_two_updates_nothing_changes():
    schedule = _schedule(end=100, frequency=10)
    assert schedule.sparsity(19, final=0.8) == schedule.sparsity(10, final=0.8) < schedule.sparsity(20, final=0.8)


def test_before_the_beginning_there_are_no_zeros():
    assert _schedule(begin="2 epochs", initial=0.5).plan(final=0.8)[:2] == [0.0, 0.5]


def test_a_target_below_the_initial_share_is_not_overshot():
    assert max(_schedule(initial=0.5).plan(final=0.3)) == 0.3


def test_one_shot_is_one_update():
    schedule = _schedule(mode="one_shot", begin="1 epoch")
    assert list(schedule.updates) == [10]
    assert schedule.plan(final=0.6)[:2] == [0.6, 0.6]
    assert schedule.sparsity(9, final=0.6) == 0


def test_the_plan_can_be_read():
    text = _schedule(epochs=2, end="100%").describe(final=0.8)
    assert "zeros reach 80% at step 20 of 20 in 21 updates" in text
    assert "1: 70%, 2: 80%" in text


def test_a_plan_longer_than_the_training_is_refused():
    with pytest.raises(ValueError, match=r"lasts until step 110, but the training has 100 steps .* below its target"):
        _schedule(end="11 epochs")


def test_a_plan_with_fewer_than_ten_updates_is_refused():
    with pytest.raises(ValueError, match="the plan has 9 updates, every 10 steps from 0 to 80"):
        _schedule(end="80%", frequency=10)
    with pytest.raises(ValueError, match="the plan has 3 updates"):
        _schedule(frequency="5 epochs")


def test_a_plan_that_ends_before_it_begins_is_refused():
    with pytest.raises(ValueError, match="begins at step 70 and ends at step 60"):
        _schedule(begin="70%")


@pytest.mark.parametrize("moment", ["soon", "80 %%", -3, 0.8, "0.8", "110%", "3 weeks", "nan"])
def test_a_moment_that_makes_no_sense_is_refused(moment):
    with pytest.raises(ValueError, match="end is "):
        ScheduleConfig(end=moment)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"initial": 1.0}, "initial sparsity is 1.0"),
        ({"power": 0.0}, "power is 0.0"),
        ({"mode": "fast"}, "schedule mode is 'fast'"),
        ({"frequency": "0.01 epochs"}, "less than one optimizer step"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        _schedule(**settings)
