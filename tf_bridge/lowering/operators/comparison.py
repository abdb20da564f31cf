"""Comparisons, logical operators and choices between two values in TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.lowering.layout import aligned
from tf_bridge.lowering.operators.pointwise import POINTWISE, broadcast, promoted
from tf_bridge.lowering.values import Operand, TensorFlow, Value, same_layout

_HIDING = -100.0  # what a network writes over scores that a softmax should turn into 0 is at most this


def _comparison(name: str) -> Callable[..., Value]:
    def apply(tf: TensorFlow, left: Operand, right: Operand) -> Value:
        return broadcast(tf, getattr(tf.math, name), left, right)

    return apply


def _equal(tf: TensorFlow, left: Operand, right: Operand) -> Value:
    infinite = _is_infinite(tf, left, right)
    return _comparison("equal")(tf, left, right) if infinite is None else infinite


def _not_equal(tf: TensorFlow, left: Operand, right: Operand) -> Value:
    infinite = _is_infinite(tf, left, right)
    if infinite is None:
        return _comparison("not_equal")(tf, left, right)
    return same_layout(infinite, tf.math.logical_not(infinite.tensor))


def _is_infinite(tf: TensorFlow, left: Operand, right: Operand) -> Value | None:
    """Whether a value is a given infinity; None for other comparisons.

    The converter writes an infinite constant as the largest float, and some kernels compute that for infinity.
    """
    for value, constant in ((left, right), (right, left)):
        if isinstance(value, Value) and not isinstance(constant, Value):
            if np.isposinf(constant).all():
                return _comparison("greater_equal")(tf, value, constant)
            if np.isneginf(constant).all():
                return _comparison("less_equal")(tf, value, constant)
    return None


def _logical(name: str) -> Callable[..., Value]:
    """A function of truth values; PyTorch takes every other number but zero for true."""

    def apply(tf: TensorFlow, *operands: Operand) -> Value:
        return broadcast(tf, getattr(tf.math, name), *(_truth(tf, operand) for operand in operands))

    return apply


def _bitwise(name: str) -> Callable[..., Value]:
    """A bitwise operator, which on truth values is the logical one."""

    def apply(tf: TensorFlow, *operands: Operand) -> Value:
        for operand in operands:
            if isinstance(operand, Value) and operand.tensor.dtype != tf.bool:
                raise ValueError("a bitwise operator on integers; use one on truth values")
        return _logical(name)(tf, *operands)

    return apply


def _truth(tf: TensorFlow, operand: Operand) -> Operand:
    if not isinstance(operand, Value):
        return np.not_equal(operand, 0)
    return operand if operand.tensor.dtype == tf.bool else _comparison("not_equal")(tf, operand, 0)


def _where(tf: TensorFlow, condition: Operand, chosen: Operand, other: Operand) -> Value:
    if not isinstance(condition, Value):
        keep = np.not_equal(condition, 0)
        for scores, fill, kept in ((chosen, other, keep), (other, chosen, ~keep)):
            if isinstance(scores, Value) and scores.tensor.dtype.is_floating and _hides(fill):
                return _masked(tf, scores, np.asarray(fill, np.float32), kept)
    return _choice(tf, condition, chosen, other)


def _choice(tf: TensorFlow, condition: Operand, chosen: Operand, other: Operand) -> Value:
    tensors, like = aligned(tf, condition, chosen, other)
    left, right = promoted(tf, *tensors[1:])
    return Value(tf.where(tensors[0], left, right), like.order, like.shape)


def _hides(fill: Operand) -> bool:
    """Whether constants are those of a mask of attention."""
    return not isinstance(fill, Value) and bool(np.less_equal(fill, _HIDING).all())


def _masked(tf: TensorFlow, scores: Value, fill: NDArray[np.float32], kept: NDArray[np.bool_]) -> Value:
    """Scores of which a constant takes the place of some, as a sum: the quantizer leaves no choice in float."""
    chosen = _choice(tf, kept, scores, 0.0)
    return POINTWISE["aten.add.Tensor"](tf, chosen, np.where(kept, np.float32(0), fill))  # type: ignore[no-any-return]


def _masked_fill(tf: TensorFlow, value: Operand, mask: Operand, fill: Operand) -> Value:
    return _where(tf, mask, fill, value)


def _is_nan(tf: TensorFlow, value: Value) -> Value:
    # The converter takes `x != x` for false, and every other comparison as it stands.
    number = tf.math.logical_or(value.tensor >= 0, value.tensor <= 0)
    return same_layout(value, tf.math.logical_not(number))


_COMPARISONS = {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
}

COMPARISON: Mapping[str, Callable[..., Any]] = {
    **{
        f"aten.{name}.{kind}": _comparison(function)
        for name, function in _COMPARISONS.items()
        for kind in ("Tensor", "Scalar")
    },
    **{f"aten.eq.{kind}": _equal for kind in ("Tensor", "Scalar")},
    **{f"aten.ne.{kind}": _not_equal for kind in ("Tensor", "Scalar")},
    **{f"aten.logical_{name}.default": _logical(f"logical_{name}") for name in ("and", "or", "not")},
    "aten.logical_xor.default": _logical("logical_xor"),
    **{f"aten.bitwise_{name}.Tensor": _bitwise(f"logical_{name}") for name in ("and", "or")},
    **{f"aten.__{name}__.Tensor": _bitwise(f"logical_{name}") for name in ("and", "or")},
    "aten.bitwise_not.default": _bitwise("logical_not"),
    "aten.where.self": _where,
    "aten.where.ScalarSelf": _where,
    "aten.where.ScalarOther": _where,
    "aten.where.Scalar": _where,
    "aten.masked_fill.Scalar": _masked_fill,
    "aten.masked_fill.Tensor": _masked_fill,
    "aten.isnan.default": _is_nan,
}
