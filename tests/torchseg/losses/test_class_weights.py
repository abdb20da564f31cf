from __future__ import annotations

import pytest

from torchseg.losses import class_weights

FREQUENCIES = {"sky": 0.4, "road": 0.2, "sign": 0.05, "train": 0.0}


def test_numbers_are_taken_in_the_order_of_the_classes():
    assert class_weights("1,2.5, 3", ["a", "b", "c"], frequencies={}) == [1.0, 2.5, 3.0]
    assert class_weights("", ["a", "b"], frequencies={}) is None


def test_median_frequency_balancing_lifts_rare_classes_and_leaves_out_those_that_never_occur():
    weights = class_weights("median_frequency", list(FREQUENCIES), frequencies=FREQUENCIES)
    assert weights == pytest.approx([0.5, 1.0, 4.0, 1.0])


@pytest.mark.parametrize("text", ["1,2", "1,2,0", "often"])
def test_another_form_is_refused(text):
    with pytest.raises(ValueError, match=r"give median_frequency, or 3 positive numbers .* for a, b, c"):
        class_weights(text, ["a", "b", "c"], frequencies={})


def test_a_class_without_a_frequency_is_named():
    with pytest.raises(ValueError, match="there is no frequency of bus; read the images again"):
        class_weights("median_frequency", ["sky", "bus"], frequencies=FREQUENCIES)
