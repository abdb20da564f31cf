"""Values written into or added to chosen elements of a tensor, in TensorFlow; `dim` counts as in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tf_bridge.lowering.layout import arranged, expanded, reshaped, with_last
from tf_bridge.lowering.operators.comparison import COMPARISON
from tf_bridge.lowering.operators.indexing import cut, take
from tf_bridge.lowering.operators.pointwise import POINTWISE, as_float, promoted
from tf_bridge.lowering.values import Operand, TensorFlow, Value, graph_value, value_of

_where, _equal, _add = COMPARISON["aten.where.self"], COMPARISON["aten.eq.Tensor"], POINTWISE["aten.add.Tensor"]
_MOST_WRITTEN = 64  # elements along one dimension, each of which costs a comparison and a choice


def _index_put(
    tf: TensorFlow, target: Operand, indices: list[Operand | None], values: Operand, accumulate: bool = False
) -> Value:
    """`target[indices] = values` for one index: truth values of the image, or constant integers."""
    given = [(dim, index) for dim, index in enumerate(indices) if index is not None]
    if len(given) != 1:
        raise ValueError("an assignment to several indices at once; write to one dimension after the other")
    dim, index = given[0]
    if _is_mask(index):
        return _masked_put(tf, target, index, values, dim=dim, accumulate=accumulate)
    if isinstance(index, Value):
        raise ValueError("an assignment to places that depend on the image; use scatter or torch.where")
    whole = graph_value(tf, target)
    rows = [int(each) % whole.shape[dim] for each in np.ravel(index)]
    written = _broadcast(tf, values, (*whole.shape[:dim], *np.shape(index), *whole.shape[dim + 1 :]))
    if np.ndim(index) != 1:
        raise ValueError("an assignment to indices of several dimensions; give a vector of them")
    return (_added_rows if accumulate else _replaced_rows)(tf, whole, dim, rows, written)


def _is_mask(index: Operand) -> bool:
    return bool(index.tensor.dtype.is_bool) if isinstance(index, Value) else np.asarray(index).dtype == np.bool_


def _masked_put(
    tf: TensorFlow, target: Operand, mask: Operand, values: Operand, *, dim: int, accumulate: bool
) -> Value:
    """`target[mask] = value` with one value for all chosen elements."""
    if _count(values) != 1 or accumulate:
        raise ValueError("an assignment of several values to a mask; use torch.where")
    rank = target.rank if isinstance(target, Value) else np.ndim(target)
    shape = mask.shape if isinstance(mask, Value) else np.shape(mask)
    wide = (*shape, *[1] * (rank - dim - len(shape)))
    return _where(tf, reshaped(tf, graph_value(tf, mask), wide), reshaped(tf, graph_value(tf, values), ()), target)  # type: ignore[no-any-return]


def _replaced_rows(tf: TensorFlow, whole: Value, dim: int, rows: list[int], written: Value) -> Value:
    """Takes every row from the target or, where it was written, from the values; the last write counts."""
    side = whole.shape[dim]
    source = np.arange(side)
    source[rows] = side + np.arange(len(rows))
    like = with_last(tf, whole, dim)
    tensors = promoted(tf, like.tensor, arranged(tf, written, like.order).tensor)
    both = value_of(tf.concat(tensors, axis=-1), like.order)
    return take(tf, both, dim, source.astype(np.int32))


def _added_rows(tf: TensorFlow, whole: Value, dim: int, rows: list[int], written: Value) -> Value:
    """Adds the values to the rows, as a product with a constant matrix."""
    where = np.zeros((len(rows), whole.shape[dim]), np.float32)
    where[np.arange(len(rows)), rows] = 1
    last = with_last(tf, written, dim)
    flat = tf.reshape(as_float(tf, last.tensor), [-1, len(rows)])
    total = tf.reshape(tf.linalg.matmul(flat, where), [*last.stored[:-1], whole.shape[dim]])
    return _add(tf, whole, value_of(total, last.order))  # type: ignore[no-any-return]


def _scatter(tf: TensorFlow, target: Operand, dim: int, index: Operand, source: Operand, *_: object) -> Value:
    """Writes to one element along a dimension after the other, at the places that the index says."""

    def written(result: Operand, here: Operand, value: Operand) -> Value:
        return _where(tf, here, value, result)  # type: ignore[no-any-return]

    return _at_places(tf, target, dim, index, source, written)


def _scatter_add(tf: TensorFlow, target: Operand, dim: int, index: Operand, source: Operand) -> Value:
    def added(result: Operand, here: Operand, value: Operand) -> Value:
        return _add(tf, result, _where(tf, here, value, 0.0))  # type: ignore[no-any-return]

    return _at_places(tf, target, dim, index, source, added)


def _at_places(
    tf: TensorFlow,
    target: Operand,
    dim: int,
    index: Operand,
    source: Operand,
    step: Callable[[Operand, Operand, Operand], Value],
) -> Value:
    shape = target.shape if isinstance(target, Value) else np.shape(target)
    places = graph_value(tf, index)
    dim %= len(shape)
    others = [tuple(side for each, side in enumerate(sides) if each != dim) for sides in (shape, places.shape)]
    if others[0] != others[1] or places.shape[dim] > _MOST_WRITTEN:
        raise ValueError(
            f"a scatter of indices {places.shape} into {tuple(shape)}; give at most {_MOST_WRITTEN} along the "
            "dimension, and all others in full"
        )
    own = np.arange(shape[dim], dtype=np.int32).reshape([-1 if each == dim else 1 for each in range(len(shape))])
    values = graph_value(tf, source) if _count(source) > 1 else source
    result: Operand = target
    for at in range(places.shape[dim]):
        here = _equal(tf, cut(tf, places, dim, at, at + 1), own)
        value = cut(tf, values, dim, at, at + 1) if isinstance(values, Value) and values.rank else values
        result = step(result, here, value)
    return graph_value(tf, result)


def _count(operand: Operand) -> int:
    return int(np.prod(operand.shape)) if isinstance(operand, Value) else int(np.size(operand))


def _broadcast(tf: TensorFlow, operand: Operand, shape: tuple[int, ...]) -> Value:
    if not isinstance(operand, Value):
        return graph_value(tf, np.ascontiguousarray(np.broadcast_to(operand, shape)))
    zeros = np.zeros(shape, np.float32)
    return operand if operand.shape == shape else expanded(tf, _add(tf, operand, zeros))


WRITING: Mapping[str, Callable[..., Any]] = {
    "aten.index_put.default": _index_put,
    "aten._unsafe_index_put.default": _index_put,
    "aten.scatter.value": _scatter,
    "aten.scatter.src": _scatter,
    "aten.scatter_add.default": _scatter_add,
}
