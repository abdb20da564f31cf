"""Values keep their meaning in every layout, and data move only where they must."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tf_bridge.lowering.layout import aligned, arranged, expanded, reshaped
from tf_bridge.lowering.lazy_tensorflow import import_tensorflow
from tf_bridge.lowering.operators.reduction import reduced
from tf_bridge.lowering.operators.shape import permuted
from tf_bridge.lowering.values import Value, usual_order, value_of

pytestmark = pytest.mark.tflite
pytest.importorskip("tensorflow")

SIDES = st.lists(st.integers(1, 4), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def tf():
    return import_tensorflow()


def numbers(shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.random.default_rng(prod(shape)).integers(-9, 10, shape).astype(np.float32)


def stored(tf, array: NDArray[np.float32], order: tuple[int, ...]) -> Value:
    return value_of(tf.constant(array.transpose(order)), order)


def read(tf, value: Value) -> NDArray[np.float32]:
    """The value in PyTorch's order."""
    return arranged(tf, expanded(tf, value), tuple(range(value.rank))).tensor.numpy()


@st.composite
def laid_out(draw, sides=SIDES) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A shape and a layout of it."""
    shape = tuple(draw(sides))
    return shape, tuple(draw(st.permutations(range(len(shape)))))


@given(laid_out(), st.randoms())
def test_any_layout_can_become_any_other(tf, case, random) -> None:
    shape, order = case
    other = list(order)
    random.shuffle(other)
    moved = arranged(tf, stored(tf, numbers(shape), order), tuple(other))
    np.testing.assert_array_equal(moved.tensor.numpy(), numbers(shape).transpose(other))


@given(laid_out(), st.randoms())
def test_permuting_moves_nothing(tf, case, random) -> None:
    shape, order = case
    dims = list(order)
    random.shuffle(dims)
    value = stored(tf, numbers(shape), order)
    turned = permuted(value, dims)
    assert turned.tensor is value.tensor
    np.testing.assert_array_equal(read(tf, turned), numbers(shape).transpose(dims))


@given(laid_out(), st.data())
def test_a_reshape_is_that_of_pytorch(tf, case, data) -> None:
    shape, order = case
    wanted, rest = [], prod(shape)
    while rest > 1:
        wanted.append(data.draw(st.sampled_from([each for each in range(2, rest + 1) if rest % each == 0])))
        rest //= wanted[-1]
    for _ in range(data.draw(st.integers(0, 2))):
        wanted.insert(data.draw(st.integers(0, len(wanted))), 1)
    result = reshaped(tf, stored(tf, numbers(shape), order), wanted)
    np.testing.assert_array_equal(read(tf, result), numbers(shape).reshape(wanted))


@given(laid_out(), laid_out(), st.data())
def test_broadcasting_follows_pytorch_in_every_layout(tf, left, right, data) -> None:
    shape, order = left
    rank = data.draw(st.integers(1, len(shape)))
    other = tuple(data.draw(st.sampled_from([1, side])) for side in shape[len(shape) - rank :])
    other_order = tuple(data.draw(st.permutations(range(rank))))
    operand = stored(tf, numbers(other), other_order) if data.draw(st.booleans()) else numbers(other)
    tensors, like = aligned(tf, operand, stored(tf, numbers(shape), order))
    total = Value(tf.add(*tensors), like.order, like.shape)
    np.testing.assert_array_equal(read(tf, total), numbers(other) + numbers(shape))


@given(laid_out(), st.data(), st.booleans())
def test_a_reduction_is_that_of_pytorch(tf, case, data, keep) -> None:
    shape, order = case
    dims = data.draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True))
    result = reduced(tf, stored(tf, numbers(shape), order), dims, keep, tf.reduce_sum)
    expected = torch.from_numpy(numbers(shape)).sum(dim=dims, keepdim=keep).numpy()
    np.testing.assert_array_equal(read(tf, result), expected)


@pytest.mark.parametrize(
    ("shape", "wanted", "order"),
    [
        ((1, 6, 4, 5), (1, 6, 20), (0, 2, 1)),  # flatten(2): the pixels stay neighbours
        ((1, 6, 4, 5), (1, 2, 3, 20), (0, 3, 1, 2)),  # heads of attention
        ((1, 6, 1, 1), (1, 6), (0, 1)),
        ((1, 6, 4, 5), (6, 4, 5), (1, 2, 0)),
    ],
)
def test_a_reshape_of_an_image_is_free_where_its_pixels_stay_together(tf, shape, wanted, order) -> None:
    result = reshaped(tf, stored(tf, numbers(shape), usual_order(4)), wanted)
    assert result.order == order
    np.testing.assert_array_equal(result.tensor.numpy().ravel(), numbers(shape).transpose(usual_order(4)).ravel())


def test_tokens_become_an_image_again_without_a_move(tf) -> None:
    tokens = permuted(stored(tf, numbers((1, 20, 6)), (0, 1, 2)), (0, 2, 1))
    assert reshaped(tf, tokens, (1, 6, 4, 5)).order == usual_order(4)


def test_axes_of_one_change_places_without_a_move(tf) -> None:
    with tf.Graph().as_default() as graph:
        arranged(tf, value_of(tf.ones((1, 1, 1, 6)), usual_order(4)), (0, 1, 2, 3))
    assert "Transpose" not in {operation.type for operation in graph.get_operations()}
