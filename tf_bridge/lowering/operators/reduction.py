"""Reductions, softmax and sorting in TensorFlow, over any dimensions of any layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np

from tf_bridge.lowering.layout import reshaped, with_last
from tf_bridge.lowering.operators.pointwise import as_float
from tf_bridge.lowering.values import Tensor, TensorFlow, Value, same_layout, value_of

Dims = list[int] | int | None


def _reduction(name: str) -> Callable[..., Value]:
    """A reduction function of `tf` over PyTorch's dimensions; all of them if none is given."""

    def reduce(tf: TensorFlow, value: Value, dims: Dims = None, keep: bool = False, *_: object) -> Value:
        return reduced(tf, value, dims, keep, getattr(tf, name))

    return reduce


def reduced(tf: TensorFlow, value: Value, dims: Dims, keep: bool, function: Callable[..., Tensor]) -> Value:
    """A reduction of TensorFlow over PyTorch's dimensions, which keeps the order of the others."""
    chosen = _dims(dims, value.rank)
    axes = sorted(value.axis(dim) for dim in chosen)
    tensor = value.tensor
    if tensor.dtype == tf.bool and function not in (tf.reduce_any, tf.reduce_all):
        tensor = tf.cast(tensor, tf.int32)
    result = function(tensor, axis=axes, keepdims=keep)
    if keep:
        return value_of(result, value.order)
    left = [dim for dim in value.order if dim not in chosen]
    return value_of(result, tuple(sorted(left).index(dim) for dim in left))


def _dims(dims: Dims, rank: int) -> list[int]:
    if dims is None or dims == []:
        return list(range(rank))
    return [dim % max(rank, 1) for dim in ([dims] if isinstance(dims, int) else dims)]


def _without_dims(name: str) -> Callable[..., Value]:
    """A reduction over everything whose second argument is a dtype."""
    return lambda tf, value, *_: reduced(tf, value, None, False, getattr(tf, name))


def _extreme_of_dim(name: str) -> Callable[..., list[Any]]:
    """The largest or smallest values along a dimension and, where they are used, their places."""

    def apply(tf: TensorFlow, value: Value, dim: int, keep: bool = False) -> list[Any]:
        values = reduced(tf, value, dim, keep, getattr(tf, f"reduce_{name}"))
        return [values, lambda: _place(name)(tf, value, dim, keep)]

    return apply


def _place(name: str) -> Callable[..., Value]:
    """Where the largest or smallest value along a dimension is, or in the flattened tensor; the first of equal ones."""

    def apply(tf: TensorFlow, value: Value, dim: int | None = None, keep: bool = False) -> Value:
        function = getattr(tf, f"arg{name}")
        if dim is None:
            flat = reshaped(tf, value, (prod(value.shape),))
            place = value_of(function(flat.tensor, axis=0, output_type=tf.int32), ())
            return reshaped(tf, place, (1,) * value.rank) if keep else place
        found = function(value.tensor, axis=value.axis(dim), output_type=tf.int32)
        left = [each for each in value.order if each != dim % value.rank]
        result = value_of(found, tuple(sorted(left).index(each) for each in left))
        shape = list(value.shape)
        shape[dim] = 1
        return reshaped(tf, result, shape) if keep else result

    return apply


def _variance(tf: TensorFlow, value: Value, dims: Dims, correction: float, keep: bool) -> Value:
    axes = [value.axis(dim) for dim in _dims(dims, value.rank)]
    count = prod(value.stored[axis] for axis in axes)
    centred = value.tensor - tf.reduce_mean(value.tensor, axis=axes, keepdims=True)
    squares = same_layout(value, tf.square(centred))
    mean = reduced(tf, squares, dims, keep, tf.reduce_mean)
    if count <= correction:
        raise ValueError(f"a variance of {count} values with a correction of {correction}; give more values")
    return same_layout(mean, mean.tensor * np.float32(count / (count - correction)))


def _var(tf: TensorFlow, value: Value, dims: Dims, unbiased: bool = True, keep: bool = False) -> Value:
    return _variance(tf, value, dims, float(unbiased), keep)


def _var_correction(
    tf: TensorFlow, value: Value, dims: Dims = None, correction: float | None = None, keep: bool = False
) -> Value:
    return _variance(tf, value, dims, 1.0 if correction is None else correction, keep)


def _root(variance: Callable[..., Value]) -> Callable[..., Value]:
    def apply(tf: TensorFlow, *arguments: Any) -> Value:
        value = variance(tf, *arguments)
        return same_layout(value, tf.sqrt(value.tensor))

    return apply


def _all_of_it(variance: Callable[..., Value]) -> Callable[..., Value]:
    return lambda tf, value, unbiased=True: variance(tf, value, None, unbiased)


def _and_mean(variance: Callable[..., Value]) -> Callable[..., list[Value]]:
    def apply(tf: TensorFlow, value: Value, dims: Dims = None, option: Any = None, keep: bool = False) -> list[Value]:
        return [variance(tf, value, dims, option, keep), reduced(tf, value, dims, keep, tf.reduce_mean)]

    return apply


def softmax(tf: TensorFlow, value: Value, dim: int, *_: object) -> Value:
    """Over any dimension; TFLite has it over the last axis alone."""
    return _of_last(tf, value, dim, tf.nn.softmax)


def _log_softmax(tf: TensorFlow, value: Value, dim: int, *_: object) -> Value:
    return _of_last(tf, value, dim, tf.nn.log_softmax)


def _of_last(tf: TensorFlow, value: Value, dim: int, function: Callable[..., Tensor]) -> Value:
    last = with_last(tf, value, dim)
    return same_layout(last, function(as_float(tf, last.tensor), axis=-1))


def _cumulative_sum(tf: TensorFlow, value: Value, dim: int, *_: object) -> Value:
    return same_layout(value, tf.cumsum(value.tensor, axis=value.axis(dim)))


def _top(tf: TensorFlow, value: Value, count: int, dim: int = -1, largest: bool = True, *_: object) -> list[Value]:
    last = with_last(tf, value, dim)
    values, places = tf.math.top_k(last.tensor if largest else -last.tensor, k=count)
    return [value_of(values if largest else -values, last.order), value_of(places, last.order)]


def _sort(tf: TensorFlow, value: Value, dim: int = -1, descending: bool = False) -> list[Value]:
    """All values in order, and where they were; equal ones keep theirs."""
    return _top(tf, value, value.shape[dim], dim, descending)


def _stable_sort(tf: TensorFlow, value: Value, _: bool | None, dim: int = -1, descending: bool = False) -> list[Value]:
    return _sort(tf, value, dim, descending)


REDUCTION: Mapping[str, Callable[..., Any]] = {
    "aten.mean.dim": _reduction("reduce_mean"),
    "aten.mean.default": _without_dims("reduce_mean"),
    "aten.sum.dim_IntList": _reduction("reduce_sum"),
    "aten.sum.default": _without_dims("reduce_sum"),
    "aten.prod.dim_int": _reduction("reduce_prod"),
    "aten.prod.default": _without_dims("reduce_prod"),
    "aten.amax.default": _reduction("reduce_max"),
    "aten.amin.default": _reduction("reduce_min"),
    "aten.max.default": _without_dims("reduce_max"),
    "aten.min.default": _without_dims("reduce_min"),
    "aten.max.dim": _extreme_of_dim("max"),
    "aten.min.dim": _extreme_of_dim("min"),
    "aten.argmax.default": _place("max"),
    "aten.argmin.default": _place("min"),
    "aten.var.default": _all_of_it(_var),
    "aten.std.default": _root(_all_of_it(_var)),
    "aten.var.dim": _var,
    "aten.std.dim": _root(_var),
    "aten.var.correction": _var_correction,
    "aten.std.correction": _root(_var_correction),
    "aten.var_mean.correction": _and_mean(_var_correction),
    "aten.std_mean.correction": _and_mean(_root(_var_correction)),
    "aten.softmax.int": softmax,
    "aten._softmax.default": softmax,
    "aten.log_softmax.int": _log_softmax,
    "aten._log_softmax.default": _log_softmax,
    "aten.cumsum.default": _cumulative_sum,
    "aten.topk.default": _top,
    "aten.sort.default": _sort,
    "aten.sort.stable": _stable_sort,
}
