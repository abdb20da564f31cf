from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchseg.harness.postprocess import ValueKind, labels_of, probabilities_of, resize_logits


@pytest.mark.parametrize("classes", [2, 3, 12])
def test_of_classes_that_are_level_the_first_counts(classes):
    logits = np.random.default_rng(classes).integers(-2, 3, (2, classes, 20, 30)).astype(np.float32)
    np.testing.assert_array_equal(labels_of(logits), logits.argmax(axis=1))


def test_the_most_likely_class_wins():
    logits = np.array([[0.1, 0.3], [0.2, -5.0], [0.0, 0.9]], np.float32).reshape(1, 3, 1, 2)
    np.testing.assert_array_equal(labels_of(logits), [[[1, 2]]])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.2, 0.6], [0, 1]),
        ([-3.0, 0.2], [0, 1]),
        ([-0.4, 7.0], [0, 1]),
        ([0.4, 0.1], [0, 0]),
        ([0.0, 255.0], [0, 1]),
        ([0.2, 1.0000001], [0, 1]),
    ],
)
def test_one_channel_is_object_or_background_by_probability_logit_or_mask(values, expected):
    logits = np.array(values, np.float32).reshape(1, 1, 1, 2)
    np.testing.assert_array_equal(labels_of(logits), [[expected]])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_output_that_is_no_number_is_refused(value):
    with pytest.raises(ValueError, match="NaN or infinity for a real image"):
        labels_of(np.full((1, 2, 1, 1), value, np.float32))


def test_an_output_with_too_many_classes_is_refused():
    with pytest.raises(ValueError, match="has 1000 classes"):
        labels_of(np.zeros((1, 1000, 1, 1), np.float32))


@given(st.integers(0, 2**31), st.integers(1, 4))
def test_probabilities_sum_to_one_and_name_the_same_class(seed, channels):
    logits = np.random.default_rng(seed).normal(0, 3, (2, channels, 4, 5)).astype(np.float32)
    shares = probabilities_of(logits)
    assert shares.shape == (2, max(2, channels), 4, 5)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(shares.argmax(axis=1), labels_of(logits))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_file_that_puts_out_probabilities_is_taken_at_its_word(channels):
    shares = np.random.default_rng(0).dirichlet(np.ones(3), (1, 4, 5)).transpose(0, 3, 1, 2).astype(np.float32)
    np.testing.assert_array_equal(probabilities_of(shares[:, :channels])[:, -1], shares[:, channels - 1])


def test_logits_of_another_size_are_brought_to_that_of_the_mask():
    logits = np.zeros((2, 3, 4, 6), np.float32)
    logits[:, 1, :, :3] = 5
    resized = resize_logits(logits, height=8, width=12)
    assert resized.shape == (2, 3, 8, 12)
    np.testing.assert_array_equal(labels_of(resized)[:, :, :6], 1)
    assert resize_logits(logits, height=4, width=6) is logits


def one_channel(*values: float) -> np.ndarray:
    return np.array(values, np.float32).reshape(1, 1, 1, -1)


@pytest.mark.parametrize(
    ("first", "later", "expected"),
    [
        (one_channel(-3, 4), one_channel(0.2, 0.3), "logit"),
        (one_channel(0.1, 0.9), one_channel(0, 1.0000001), "probability"),
        (one_channel(0, 255), one_channel(0.2, 0.9), "mask255"),
        (one_channel(0, 255.1), one_channel(0, 255.2), "mask255"),
    ],
)
def test_the_kind_of_values_is_decided_once(first, later, expected):
    kind = ValueKind()
    assert kind.of(first) == expected
    assert kind.of(later) == expected


def test_a_background_alone_decides_nothing():
    kind = ValueKind()
    kind.of(one_channel(0, 0.1))
    assert kind.name == ""
    assert kind.of(one_channel(0, 255)) == "mask255"


def test_values_that_contradict_the_first_ones_are_a_fault():
    kind = ValueKind()
    kind.of(one_channel(0.1, 0.9))
    with pytest.raises(ValueError, match=r"of the kind probability, and now they run from -3 to 200; .*--output_kind"):
        kind.of(one_channel(-3, 200))


def test_positive_values_of_no_known_kind_are_a_fault():
    with pytest.raises(ValueError, match=r"from 0\.4 to 7, which may be logits or a mask from 0 to 255"):
        labels_of(one_channel(0.4, 7))
    assert ValueKind("logit").of(one_channel(0.4, 7)) == "logit"
    with pytest.raises(
        ValueError, match="from 0 to 100, which may be logits or a mask from 0 to 255 without an object"
    ):
        labels_of(one_channel(0, 100))


def test_probabilities_of_classes_that_do_not_exclude_each_other_are_shared_out():
    shares = np.array([0.5, 1.0, 0.5], np.float32).reshape(1, 3, 1, 1)
    np.testing.assert_allclose(probabilities_of(shares, kind="probability").ravel(), [0.25, 0.5, 0.25])
