"""Slices, parts, mirrored and chosen elements in TensorFlow; `dim` counts as in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np

from tf_bridge.lowering.layout import arranged, reshaped
from tf_bridge.lowering.operators.pointwise import POINTWISE
from tf_bridge.lowering.values import Operand, Tensor, TensorFlow, Value, graph_value, is_constant, value_of

_WIDE = 4  # slices of more axes are not supported everywhere


def on_axis(tf: TensorFlow, tensor: Tensor, axis: int, function: Callable[[Tensor, int], Tensor]) -> Tensor:
    """A function of a tensor and an axis; the axes before and behind that one merge if there are many."""
    sides = [int(side) for side in tensor.shape]
    if len(sides) <= _WIDE:
        return function(tensor, axis)
    before, after = sides[:axis], sides[axis + 1 :]
    result = function(tf.reshape(tensor, [prod(before), sides[axis], prod(after)]), 1)
    return tf.reshape(result, [*before, int(result.shape[1]), *after])


def cut(tf: TensorFlow, value: Value, dim: int, start: int, end: int) -> Value:
    """`value[..., start:end, ...]` as `tf.slice`, the only kind of slice that XNNPACK supports."""
    if (start, end) == (0, value.shape[dim]):
        return value

    def part(tensor: Tensor, axis: int) -> Tensor:
        sides = [int(side) for side in tensor.shape]
        begin, size = [0] * len(sides), list(sides)
        begin[axis], size[axis] = start, end - start
        return tf.slice(tensor, begin, size)

    return value_of(on_axis(tf, value.tensor, value.axis(dim), part), value.order)


def _slice(tf: TensorFlow, value: Value, dim: int, start: int | None, end: int | None, step: int) -> Value:
    first, last, step = slice(start, end, step).indices(value.shape[dim])
    value = cut(tf, value, dim, first, max(first, last))
    if step == 1:
        return value

    def every(tensor: Tensor, axis: int) -> Tensor:
        return tensor[tuple(slice(None, None, step if each == axis else None) for each in range(len(tensor.shape)))]

    return value_of(on_axis(tf, value.tensor, value.axis(dim), every), value.order)


def select(tf: TensorFlow, value: Value, dim: int, index: int) -> Value:
    """One element along a dimension, which disappears."""
    dim %= value.rank
    index %= value.shape[dim]
    return reshaped(tf, cut(tf, value, dim, index, index + 1), (*value.shape[:dim], *value.shape[dim + 1 :]))


def _unbind(tf: TensorFlow, value: Value, dim: int = 0) -> list[Value]:
    return [select(tf, value, dim, index) for index in range(value.shape[dim])]


def _narrow(tf: TensorFlow, value: Value, dim: int, start: int, length: int) -> Value:
    return cut(tf, value, dim, start % value.shape[dim], start % value.shape[dim] + length)


def _split(tf: TensorFlow, value: Value, sizes: list[int] | int, dim: int) -> list[Value]:
    side = value.shape[dim]
    if isinstance(sizes, int):
        sizes = [min(sizes, side - start) for start in range(0, side, sizes)]
    ends = list(accumulate(sizes))
    return [cut(tf, value, dim, end - size, end) for size, end in zip(sizes, ends, strict=True)]


def _chunk(tf: TensorFlow, value: Value, chunks: int, dim: int) -> list[Value]:
    return _split(tf, value, -(-value.shape[dim] // chunks), dim)


def _flip(tf: TensorFlow, value: Value, dims: list[int]) -> Value:
    tensor = value.tensor
    for dim in dims:  # TFLite turns neighbouring axes alone at once
        tensor = on_axis(tf, tensor, value.axis(dim), lambda each, axis: tf.reverse(each, [axis]))
    return value_of(tensor, value.order)


def _roll(tf: TensorFlow, value: Value, shifts: list[int] | int, dims: list[int] | int) -> Value:
    steps = [shifts] if isinstance(shifts, int) else shifts
    chosen = [dims] if isinstance(dims, int) else dims
    if not chosen:
        flat = _roll(tf, reshaped(tf, value, (prod(value.shape),)), steps, [0])
        return reshaped(tf, flat, value.shape)
    for step, dim in zip(steps, chosen, strict=True):
        side = value.shape[dim]
        if middle := -step % side:
            parts = [cut(tf, value, dim, middle, side), cut(tf, value, dim, 0, middle)]
            value = value_of(tf.concat([part.tensor for part in parts], axis=value.axis(dim)), value.order)
    return value


def take(tf: TensorFlow, value: Value, dim: int, indices: Tensor) -> Value:
    """Elements along a dimension by constant or computed indices of one axis; a run of neighbours is a slice."""
    dim %= value.rank
    if is_constant(indices):
        first, count = int(indices[0]), len(indices)
        if np.array_equal(indices, np.arange(first, first + count)):
            return cut(tf, value, dim, first, first + count)
    return value_of(tf.gather(value.tensor, indices, axis=value.axis(dim)), value.order)


def _index_select(tf: TensorFlow, value: Operand, dim: int, index: Operand) -> Value:
    return take(tf, graph_value(tf, value), dim, index.tensor if isinstance(index, Value) else np.atleast_1d(index))


def _index(tf: TensorFlow, value: Operand, indices: list[Operand | None]) -> Value:
    """PyTorch's advanced indexing by integers: the indexed dimensions merge, and one gather takes from them."""
    value = graph_value(tf, value)
    places, given = _integer_indices(indices)
    dims = list(range(places[0], places[-1] + 1))
    together = dims == places
    if not together:  # the result then has the dimensions of the indices first
        dims = list(range(len(places)))
        value = _moved_to_front(value, places)
    sides = [value.shape[dim] for dim in dims]
    flat, shape = _flat_index(tf, given, sides)
    start, end = dims[0], dims[-1] + 1
    merged = reshaped(tf, value, (*value.shape[:start], prod(sides), *value.shape[end:]))
    chosen = take(tf, merged, start, flat)
    return reshaped(tf, chosen, (*merged.shape[:start], *shape, *merged.shape[start + 1 :]))


def _moved_to_front(value: Value, places: list[int]) -> Value:
    dims = [*places, *(dim for dim in range(value.rank) if dim not in places)]
    shape = tuple(value.shape[dim] for dim in dims)
    return Value(value.tensor, tuple(dims.index(dim) for dim in value.order), shape)


def _integer_indices(indices: list[Operand | None]) -> tuple[list[int], list[Operand]]:
    """The indexed dimensions and their indices; constant truth values become the places where they are true."""
    places: list[int] = []
    given: list[Operand] = []
    dim = 0
    for index in indices:
        if index is None:
            dim += 1
        elif isinstance(index, Value):
            if index.tensor.dtype.is_bool:
                raise ValueError(
                    "an index by truth values of the image, whose result has no fixed size; use torch.where"
                )
            places, given, dim = [*places, dim], [*given, index], dim + 1
        else:
            array = np.asarray(index)
            several = np.nonzero(array) if array.dtype == np.bool_ else (array,)
            places, given, dim = [*places, *range(dim, dim + len(several))], [*given, *several], dim + len(several)
    return places, given


def _flat_index(tf: TensorFlow, indices: list[Operand], sides: list[int]) -> tuple[Tensor, tuple[int, ...]]:
    """One index into the merged dimensions, as a vector, and its shape before that."""
    flat: Operand = 0
    for index, side in zip(indices, sides, strict=True):
        flat = _plus(tf, _times(tf, flat, side), _from_start(tf, index, side))
    if isinstance(flat, Value):
        shape = flat.shape
        flat = arranged(tf, flat, tuple(range(flat.rank)))
        return tf.reshape(tf.broadcast_to(flat.tensor, shape), [prod(shape)]), shape
    array = np.asarray(flat, np.int32)
    return array.reshape(-1), array.shape


def _from_start(tf: TensorFlow, index: Operand, side: int) -> Operand:
    """Negative indices count from the end."""
    if isinstance(index, Value):
        negative = tf.cast(index.tensor < 0, tf.int32)
        return Value(index.tensor + negative * side, index.order, index.shape)
    return np.where(np.asarray(index) < 0, np.asarray(index) + side, index)


def _plus(tf: TensorFlow, left: Operand, right: Operand) -> Operand:
    if isinstance(left, Value) or isinstance(right, Value):
        return POINTWISE["aten.add.Tensor"](tf, left, right)  # type: ignore[no-any-return]
    return np.add(left, right)


def _times(tf: TensorFlow, left: Operand, right: int) -> Operand:
    if isinstance(left, Value):
        return POINTWISE["aten.mul.Tensor"](tf, left, right)  # type: ignore[no-any-return]
    return np.multiply(left, right)


def _gather(tf: TensorFlow, value: Value, dim: int, index: Operand, *_: object) -> Value:
    """Elements along one dimension, chosen anew at every place of the others."""
    dim %= value.rank
    index = graph_value(tf, index)
    for each in range(value.rank):
        value = value if each == dim else cut(tf, value, each, 0, index.shape[each])
    order = (*(each for each in value.order if each != dim), dim)
    stored, indices = arranged(tf, value, order), arranged(tf, index, order)
    rows = prod(stored.stored[:-1])
    flat = tf.gather(
        tf.reshape(stored.tensor, [rows, stored.stored[-1]]),
        tf.reshape(indices.tensor, [rows, indices.stored[-1]]),
        batch_dims=1,
        axis=1,
    )
    return value_of(tf.reshape(flat, indices.stored), order)


def _windows(tf: TensorFlow, value: Value, dim: int, size: int, step: int) -> Value:
    """PyTorch's `unfold` of one dimension: its windows, which get a dimension at the end."""
    dim %= value.rank
    count = (value.shape[dim] - size) // step + 1
    places = np.arange(count)[:, None] * step + np.arange(size)
    taken = take(tf, value, dim, places.ravel().astype(np.int32))
    apart = reshaped(tf, taken, (*value.shape[:dim], count, size, *value.shape[dim + 1 :]))
    return _moved_to_back(apart, [dim + 1])


def _diagonal(tf: TensorFlow, value: Value, offset: int = 0, first: int = 0, second: int = 1) -> Value:
    """The elements at equal places of two dimensions, in a dimension at the end."""
    sides = [value.shape[dim] for dim in (first, second)]
    back = _moved_to_back(value, [first % value.rank, second % value.rank])
    flat = reshaped(tf, back, (*back.shape[:-2], prod(sides)))
    rows = np.arange(max(-offset, 0), min(sides[0], sides[1] - offset))
    return take(tf, flat, -1, (rows * sides[1] + rows + offset).astype(np.int32))


def _moved_to_back(value: Value, places: list[int]) -> Value:
    return _moved_to_front(value, [*(dim for dim in range(value.rank) if dim not in places), *places])


INDEXING: Mapping[str, Callable[..., Any]] = {
    "aten.slice.Tensor": _slice,
    "aten.select.int": select,
    "aten.narrow.default": _narrow,
    "aten.unbind.int": _unbind,
    "aten.split.Tensor": _split,
    "aten.split_with_sizes.default": _split,
    "aten.chunk.default": _chunk,
    "aten.flip.default": _flip,
    "aten.roll.default": _roll,
    "aten.index_select.default": _index_select,
    "aten.index.Tensor": _index,
    "aten._unsafe_index.Tensor": _index,
    "aten.gather.default": _gather,
    "aten.unfold.default": _windows,
    "aten.diagonal.default": _diagonal,
}
