import numpy as np
import pytest

from tf_bridge.from_tensorflow.class_scores import LOGITS, SIGMOID, SOFTMAX, ClassScores


def test_one_probability_becomes_two_that_sum_to_one():
    values = np.array([0.0, 0.25, 0.5, 0.75], np.float32).reshape(1, 1, 2, 2)
    both = ClassScores(activation=SIGMOID, channels=1).of(values)
    np.testing.assert_allclose(both.sum(axis=1), 1)
    np.testing.assert_array_equal(both[:, 1:], values)
    assert both.argmax(axis=1).ravel().tolist() == [0, 0, 0, 1]  # at 0.5 it is not yet the object


def test_one_logit_becomes_two_whose_softmax_is_its_sigmoid():
    values = np.array([-3.0, 0.0, 0.1, 5.0], np.float32).reshape(1, 1, 2, 2)
    both = ClassScores(activation=LOGITS, channels=1).of(values)
    softmax = np.exp(both[:, 1:]) / np.exp(both).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(softmax, 1 / (1 + np.exp(-values)), rtol=1e-5)


def test_several_channels_stay_as_they_are():
    scores = ClassScores(activation=SOFTMAX, channels=3)
    values = np.ones((1, 3, 2, 2), np.float32)
    assert scores.of(values) is values
    assert (scores.num_classes, scores.spread) == (3, None)


@pytest.mark.parametrize(
    ("activation", "name"), [(LOGITS, "logits"), (SOFTMAX, "probabilities"), (SIGMOID, "probabilities")]
)
def test_the_output_is_named_for_what_it_holds(activation, name):
    scores = ClassScores(activation=activation, channels=2)
    assert scores.output_name == name
    assert scores.meaning.startswith(name)
