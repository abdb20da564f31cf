"""Permutations, reshapes, expansions and concatenation in TensorFlow; `dim` counts as in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from tf_bridge.lowering.layout import arranged, expanded, raised, reshaped
from tf_bridge.lowering.operators.pointwise import promoted
from tf_bridge.lowering.values import Operand, Tensor, TensorFlow, Value, usual_order, value_of

_FEW = 8  # up to this number of copies are a concatenation, which XNNPACK has


def permuted(value: Value, dims: Sequence[int]) -> Value:
    """PyTorch's `permute`: another order of the dimensions in the same stored tensor."""
    wanted = [dim % value.rank for dim in dims]
    return Value(
        value.tensor, tuple(wanted.index(dim) for dim in value.order), tuple(value.shape[dim] for dim in wanted)
    )


def _permute(tf: TensorFlow, value: Value, dims: list[int]) -> Value:
    return permuted(value, dims)


def _transpose(tf: TensorFlow, value: Value, first: int = -2, second: int = -1) -> Value:
    dims = list(range(value.rank))
    dims[first], dims[second] = dims[second], dims[first]
    return permuted(value, dims)


def _transpose_matrix(tf: TensorFlow, value: Value) -> Value:
    return permuted(value, tuple(reversed(range(value.rank))))


def _reshape(tf: TensorFlow, value: Value, size: list[int]) -> Value:
    known = prod(side for side in size if side != -1)
    return reshaped(tf, value, [prod(value.shape) // known if side == -1 else side for side in size])


def _flatten(tf: TensorFlow, value: Value, start: int, end: int) -> Value:
    if value.rank == 0:
        return reshaped(tf, value, (1,))
    start, end = start % value.rank, end % value.rank
    merged = prod(value.shape[start : end + 1])
    return reshaped(tf, value, (*value.shape[:start], merged, *value.shape[end + 1 :]))


def _unflatten(tf: TensorFlow, value: Value, dim: int, sizes: list[int]) -> Value:
    dim %= value.rank
    return _reshape(tf, value, [*value.shape[:dim], *_filled(sizes, value.shape[dim]), *value.shape[dim + 1 :]])


def _filled(sizes: list[int], total: int) -> list[int]:
    return [total // prod(side for side in sizes if side != -1) if side == -1 else side for side in sizes]


def _unsqueeze(tf: TensorFlow, value: Value, dim: int) -> Value:
    dim %= value.rank + 1
    return reshaped(tf, value, (*value.shape[:dim], 1, *value.shape[dim:]))


def _squeeze(tf: TensorFlow, value: Value, dims: int | list[int] | None = None) -> Value:
    chosen = range(value.rank) if dims is None else [dims] if isinstance(dims, int) else dims
    gone = {dim % value.rank for dim in chosen}
    return reshaped(tf, value, [side for dim, side in enumerate(value.shape) if side != 1 or dim not in gone])


def _expand(tf: TensorFlow, value: Value, size: list[int], *_: object) -> Value:
    """Makes no copies: operators that broadcast need none, and the others make them."""
    value = raised(tf, value, len(size))
    shape = tuple(have if want == -1 else want for have, want in zip(value.shape, size, strict=True))
    return replace(value, shape=shape)


def _repeat(tf: TensorFlow, value: Value, counts: list[int]) -> Value:
    value = raised(tf, value, len(counts))
    shape = tuple(side * count if side == 1 else side for side, count in zip(value.shape, counts, strict=True))
    more = [1 if value.shape[dim] == 1 else counts[dim] for dim in value.order]
    value = replace(value, shape=shape)
    if all(count == 1 for count in more):
        return value
    return value_of(_copied(tf, expanded(tf, value).tensor, more), value.order)


def _copied(tf: TensorFlow, tensor: Tensor, counts: list[int]) -> Tensor:
    if prod(counts) > _FEW:
        return tf.tile(tensor, counts)
    for axis, count in enumerate(counts):
        tensor = tensor if count == 1 else tf.concat([tensor] * count, axis=axis)
    return tensor


def _cat(tf: TensorFlow, tensors: Sequence[Operand], dim: int = 0) -> Value:
    """All parts take the layout of the largest; PyTorch ignores an empty vector among them."""
    parts = [each for each in tensors if not (not isinstance(each, Value) and np.asarray(each).size == 0)]
    graph = [each for each in parts if isinstance(each, Value)]
    rank = graph[0].rank
    order = max(graph, key=lambda each: (prod(each.shape), each.order == usual_order(rank))).order
    stored = [
        arranged(tf, each, order).tensor if isinstance(each, Value) else np.asarray(each).transpose(order)
        for each in parts
    ]
    return value_of(tf.concat(promoted(tf, *stored), axis=order.index(dim % rank)), order)


def _stack(tf: TensorFlow, tensors: list[Operand], dim: int = 0) -> Value:
    parts = []
    for each in tensors:
        place = dim % (1 + (each.rank if isinstance(each, Value) else np.ndim(each)))
        parts.append(
            _unsqueeze(tf, each, place) if isinstance(each, Value) else np.expand_dims(np.asarray(each), place)
        )
    return _cat(tf, parts, dim)


# These take values with expanded sides.
SHAPE_OF_EXPANDED: Mapping[str, Callable[..., Any]] = {
    "aten.permute.default": _permute,
    "aten.transpose.int": _transpose,
    "aten.swapaxes.default": _transpose,
    "aten.t.default": _transpose_matrix,
    "aten.numpy_T.default": _transpose_matrix,
    "aten.expand.default": _expand,
    "aten.repeat.default": _repeat,
}

SHAPE: Mapping[str, Callable[..., Any]] = {
    "aten.view.default": _reshape,
    "aten.reshape.default": _reshape,
    "aten._unsafe_view.default": _reshape,
    "aten.flatten.using_ints": _flatten,
    "aten.unflatten.int": _unflatten,
    "aten.unsqueeze.default": _unsqueeze,
    "aten.squeeze.default": _squeeze,
    "aten.squeeze.dim": _squeeze,
    "aten.squeeze.dims": _squeeze,
    "aten.cat.default": _cat,
    "aten.stack.default": _stack,
}
