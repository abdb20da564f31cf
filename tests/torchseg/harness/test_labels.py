from __future__ import annotations

import numpy as np
import pytest

from torchseg.harness.labels import labels_of


def test_the_most_likely_class_wins():
    logits = np.array([[0.1, 0.3], [0.2, -5.0], [0.0, 0.9]], np.float32).reshape(1, 3, 1, 2)
    np.testing.assert_array_equal(labels_of(logits), [[[1, 2]]])


@pytest.mark.parametrize(
    ("values", "expected"), [([0.2, 0.6], [0, 1]), ([-3.0, 0.2], [0, 1]), ([0.4, 7.0], [1, 1]), ([0.4, 0.1], [0, 0])]
)
def test_one_channel_is_object_or_background_by_probability_or_by_logit(values, expected):
    logits = np.array(values, np.float32).reshape(1, 1, 1, 2)
    np.testing.assert_array_equal(labels_of(logits), [[expected]])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_output_that_is_no_number_is_refused(value):
    with pytest.raises(ValueError, match="NaN or infinity for a real picture"):
        labels_of(np.full((1, 2, 1, 1), value, np.float32))


def test_an_output_with_too_many_classes_is_refused():
    with pytest.raises(ValueError, match="tells 1000 classes apart"):
        labels_of(np.zeros((1, 1000, 1, 1), np.float32))
