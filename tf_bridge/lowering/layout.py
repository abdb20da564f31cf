"""Changes of layout: moves data only where an operator needs another order of axes or PyTorch's reshape mixes them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from tf_bridge.lowering.values import (
    Constant,
    Operand,
    Tensor,
    TensorFlow,
    Value,
    channels_last,
    usual_order,
    value_of,
)

_WIDE = 4  # kernels of TFLite and XNNPACK support this many axes everywhere


def arranged(tf: TensorFlow, value: Value, order: tuple[int, ...]) -> Value:
    """The same value stored in another order. If only axes of length 1 change places, no data move."""
    if value.order == order:
        return value
    permutation = [value.order.index(dim) for dim in order]
    return Value(transposed(tf, value.tensor, permutation), order, value.shape)


def transposed(tf: TensorFlow, tensor: Tensor, permutation: Sequence[int]) -> Tensor:
    """`tf.transpose` with as few axes as possible: axes of length 1 are left out, and axes that stay together merge."""
    sides = [int(side) for side in tensor.shape]
    final = [sides[axis] for axis in permutation]
    moved = [axis for axis in permutation if sides[axis] != 1]
    if moved == sorted(moved):
        return tensor if final == sides else tf.reshape(tensor, final)
    if len(sides) <= _WIDE:
        return tf.transpose(tensor, permutation)
    kept = sorted(moved)
    runs: list[list[int]] = []
    for axis in moved:
        follows = runs and kept.index(axis) == kept.index(runs[-1][-1]) + 1
        runs[-1].append(axis) if follows else runs.append([axis])
    before = sorted(runs)
    merged = tf.reshape(tensor, [prod(sides[axis] for axis in run) for run in before])
    return tf.reshape(tf.transpose(merged, [before.index(run) for run in runs]), final)


def in_channels_last(tf: TensorFlow, value: Value) -> Value:
    """Stored as convolutions and poolings take it, NHWC for an image."""
    return arranged(tf, value, channels_last(value.rank))


def in_order(tf: TensorFlow, value: Value) -> Tensor:
    """The tensor with its axes in PyTorch's order."""
    return arranged(tf, value, tuple(range(value.rank))).tensor


def with_last(tf: TensorFlow, value: Value, dim: int) -> Value:
    """Stored with PyTorch's dimension `dim` as the last axis."""
    dim %= value.rank
    if value.order[-1] == dim:
        return value
    return arranged(tf, value, (*(each for each in value.order if each != dim), dim))


def expanded(tf: TensorFlow, value: Value) -> Value:
    """Stored with all copies of the sides that an expansion repeats."""
    wanted = [value.shape[dim] for dim in value.order]
    if wanted == value.stored:
        return value
    if value.tensor.dtype == tf.bool:
        return Value(
            tf.cast(tf.broadcast_to(tf.cast(value.tensor, tf.int32), wanted), tf.bool), value.order, value.shape
        )
    return Value(tf.broadcast_to(value.tensor, wanted), value.order, value.shape)


def reshaped(tf: TensorFlow, value: Value, shape: Sequence[int]) -> Value:
    """PyTorch's reshape. Dimensions that merge are brought together in PyTorch's order first, where they are not yet.

    Args:
        tf: the TensorFlow module.
        value: without expanded sides.
        shape: PyTorch's new shape, all sides given.
    """
    groups = _groups(value.shape, shape)
    stored = [dim for dim in value.order if value.shape[dim] != 1]
    by_place = sorted(groups, key=lambda group: stored.index(group[0][0]))
    wanted = [dim for group in by_place for dim in group[0]]
    if not _together(groups, stored):
        by_place = sorted(groups, key=lambda group: min(stored.index(dim) for dim in group[0]))
        wanted = [dim for group in by_place for dim in group[0]]
        ones = [dim for dim in value.order if value.shape[dim] == 1]
        value = arranged(tf, value, (*ones, *wanted))
    order = _with_ones([dim for group in by_place for dim in group[1]], shape)
    sides = [shape[dim] for dim in order]
    tensor = value.tensor if sides == value.stored else tf.reshape(value.tensor, sides)
    return Value(tensor, order, tuple(shape))


def _groups(before: Sequence[int], after: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Smallest runs of old and of new dimensions that hold equally many elements; sides of 1 are left out."""
    old = [dim for dim, side in enumerate(before) if side != 1]
    new = [dim for dim, side in enumerate(after) if side != 1]
    groups: list[tuple[list[int], list[int]]] = []
    while old:
        left, right = [old.pop(0)], [new.pop(0)]
        while (a := prod(before[dim] for dim in left)) != (b := prod(after[dim] for dim in right)):
            left.append(old.pop(0)) if a < b else right.append(new.pop(0))
        groups.append((left, right))
    return groups


def _together(groups: list[tuple[list[int], list[int]]], stored: list[int]) -> bool:
    """Whether the old dimensions of every group are neighbours in the stored tensor, in PyTorch's order."""
    return all(stored[(start := stored.index(group[0])) : start + len(group)] == group for group, _ in groups)


def _with_ones(stored: list[int], shape: Sequence[int]) -> tuple[int, ...]:
    """Adds the dimensions of length 1: as in the usual layout if it fits, else each behind its predecessor."""
    usual = usual_order(len(shape))
    if [dim for dim in usual if shape[dim] != 1] == stored:
        return usual
    order = list(stored)
    for dim, side in enumerate(shape):
        if side == 1:
            order.insert(order.index(dim - 1) + 1 if dim else 0, dim)
    return tuple(order)


def raised(tf: TensorFlow, value: Value, rank: int) -> Value:
    """With leading dimensions of length 1, as broadcasting adds them, up to `rank` dimensions."""
    if value.rank == rank:
        return value
    more = rank - value.rank
    plain = value_of(value.tensor, value.order)
    wide = reshaped(tf, plain, (*[1] * more, *plain.shape))
    return Value(wide.tensor, wide.order, (*[1] * more, *value.shape))


def aligned(tf: TensorFlow, *operands: Operand) -> tuple[list[Tensor], Value]:
    """Operands in one layout, ready for an operation of TensorFlow that broadcasts.

    All take the layout of the largest; constants are rearranged at export time.

    Returns:
        The tensors and constants, and a value with the layout and PyTorch's shape of the result; its tensor is
        without meaning.
    """
    rank = max(operand.rank if isinstance(operand, Value) else np.ndim(operand) for operand in operands)
    values = [raised(tf, operand, rank) if isinstance(operand, Value) else operand for operand in operands]
    graph = [value for value in values if isinstance(value, Value)]
    largest = max(graph, key=lambda value: (prod(value.stored), value.order == usual_order(rank)))
    shape = np.broadcast_shapes(*(value.shape if isinstance(value, Value) else np.shape(value) for value in values))
    order = largest.order
    tensors = [
        arranged(tf, value, order).tensor if isinstance(value, Value) else constant_in(value, order) for value in values
    ]
    return tensors, Value(largest.tensor, order, shape)


def constant_in(constant: Constant, order: tuple[int, ...]) -> Constant:
    """A constant in a layout, with leading axes of length 1 as broadcasting adds them; a number stays one."""
    array = np.asarray(constant)
    if array.ndim == 0:
        return array[()]
    return array.reshape((1,) * (len(order) - array.ndim) + array.shape).transpose(order)
