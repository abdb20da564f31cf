from __future__ import annotations

import math

import pytest

from torchseg.checks import check_positive


def test_any_number_above_zero_is_positive():
    check_positive("rate", 1e-12, example="1")


@pytest.mark.parametrize("value", [0, -1.5, math.nan])
def test_the_message_names_the_argument_the_value_and_what_to_give(value):
    with pytest.raises(ValueError, match=f"^rate is {value}; give a positive number, e.g. 0.5$"):
        check_positive("rate", value, example="0.5")
