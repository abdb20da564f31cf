from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchseg.config.search import Choice, Range, parse_space


def test_ranges_and_choices_are_read():
    space = parse_space(
        "learning_rate=0.0005..1e-2 log, alpha = 0..1,width=4|6|8, schedule=cosine|stable, norm=true|false"
    )
    assert space == {
        "learning_rate": Range(low=0.0005, high=0.01, log=True),
        "alpha": Range(low=0.0, high=1.0),
        "width": Choice(values=(4, 6, 8)),
        "schedule": Choice(values=("cosine", "stable")),
        "norm": Choice(values=(True, False)),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "space is empty, so there is nothing to search over"),
        (" , ", "space is empty"),
        ("alpha", r"space has 'alpha'; give NAME=LOW..HIGH"),
        ("alpha=", "give NAME=LOW..HIGH"),
        ("alpha=0..1, alpha=0..2", "names alpha twice"),
        ("alpha=0..x", "give two numbers"),
        ("alpha=1..0", "with LOW below HIGH"),
        ("alpha=0..inf", "with LOW below HIGH"),
        ("alpha=0..1 lgo", "nothing behind but 'log'"),
        ("alpha=0..1 log", "begins above 0"),
        ("width=4|4", "different values"),
        ("width=4|", "different values"),
    ],
)
def test_a_space_that_is_none_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_space(text)


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e3), st.floats(0, 1))
def test_a_tidy_number_stays_in_its_range_and_close(low, width, share):
    values = Range(low=low, high=low + width)
    chosen = min(low + share * width, values.high)
    tidy = values.tidy(chosen)
    assert values.low <= tidy <= values.high
    assert tidy == pytest.approx(chosen, rel=1e-3)


def test_a_tidy_choice_has_the_type_that_was_given():
    assert type(Choice(values=(4, 8)).tidy(4.0)) is int
