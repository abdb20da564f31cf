"""Elementwise arithmetic in TensorFlow. Operands may have different layouts, ranks and expanded sides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tf_bridge.lowering.layout import aligned
from tf_bridge.lowering.values import Operand, Tensor, TensorFlow, Value, is_constant, same_layout

_LONGEST_PRODUCT = 4  # powers up to this are products, which every runtime computes quickly


def elementwise(function: Callable[..., Tensor]) -> Callable[..., Value]:
    """An operator on one tensor that keeps its layout, from a function of TensorFlow tensors."""

    def apply(tf: TensorFlow, value: Value, *arguments: Any) -> Value:
        return same_layout(value, function(tf, as_float(tf, value.tensor), *arguments))

    return apply


def broadcast(tf: TensorFlow, function: Callable[..., Tensor], *operands: Operand) -> Value:
    """A function of TensorFlow tensors on operands of any layout, of which at least one depends on the image."""
    tensors, like = aligned(tf, *operands)
    return Value(function(*promoted(tf, *tensors)), like.order, like.shape)


def promoted(tf: TensorFlow, *tensors: Tensor) -> list[Tensor]:
    """Operands in one dtype, as PyTorch promotes them: float32, else int32, else bool."""
    kinds = [_kind(tf, tensor) for tensor in tensors]
    dtype = next(each for each in (np.float32, np.int32, np.bool_) if each in kinds)
    return [_cast(tf, tensor, dtype) for tensor in tensors]


def as_float(tf: TensorFlow, tensor: Tensor) -> Tensor:
    """In float32, which PyTorch turns integers into before most functions."""
    return _cast(tf, tensor, np.float32)


def _kind(tf: TensorFlow, tensor: Tensor) -> type:
    number = tensor.dtype.as_numpy_dtype if tf.is_tensor(tensor) else np.asarray(tensor).dtype
    if np.issubdtype(number, np.floating):
        return np.float32
    return np.bool_ if number == np.bool_ else np.int32


def _cast(tf: TensorFlow, tensor: Tensor, dtype: type) -> Tensor:
    if tf.is_tensor(tensor):
        return tensor if tensor.dtype == dtype else tf.cast(tensor, dtype)
    return np.asarray(tensor).astype(dtype)[()]


def _binary(name: str) -> Callable[..., Value]:
    """An operation of `tf.math` on two values, either of which may be a constant."""

    def apply(tf: TensorFlow, left: Operand, right: Operand, *_: object) -> Value:
        return broadcast(tf, getattr(tf.math, name), left, right)

    return apply


def _multiply(tf: TensorFlow, left: Operand, right: Operand, *_: object) -> Value:
    """A product; of truth values it is true where both are."""

    def product(*pair: Tensor) -> Tensor:
        return tf.math.logical_and(*pair) if _kind(tf, pair[0]) == np.bool_ else tf.math.multiply(*pair)

    return broadcast(tf, product, left, right)


def _add(tf: TensorFlow, left: Operand, right: Operand, alpha: float = 1) -> Value:
    return _binary("add")(tf, left, right if alpha == 1 else _scaled(tf, right, alpha))


def _subtract(tf: TensorFlow, left: Operand, right: Operand, alpha: float = 1) -> Value:
    return _binary("subtract")(tf, left, right if alpha == 1 else _scaled(tf, right, alpha))


def _scaled(tf: TensorFlow, value: Operand, factor: float) -> Operand:
    return _binary("multiply")(tf, value, factor) if isinstance(value, Value) else np.multiply(value, factor)


def _reversed_subtract(tf: TensorFlow, left: Operand, right: Operand, alpha: float = 1) -> Value:
    return _subtract(tf, right, left, alpha)


def _divide(tf: TensorFlow, left: Operand, right: Operand, *_: object) -> Value:
    # A constant divisor becomes a factor, which the converter can fold into the preceding convolution.
    if is_constant(right):
        return broadcast(tf, tf.math.multiply, left, (1.0 / np.asarray(right, np.float64)).astype(np.float32))
    return broadcast(tf, lambda *pair: tf.math.divide(*(as_float(tf, each) for each in pair)), left, right)


def _divide_rounded(tf: TensorFlow, left: Operand, right: Operand, mode: str | None = None) -> Value:
    if mode is None:
        return _divide(tf, left, right)
    if mode == "floor":
        return broadcast(tf, tf.math.floordiv, left, right)
    return elementwise(_truncate)(tf, _divide(tf, left, right))


def _remainder_of_truncation(tf: TensorFlow, left: Operand, right: Operand) -> Value:
    """PyTorch's `fmod`, which has the sign of the dividend."""
    return _subtract(tf, left, _multiply(tf, _divide_rounded(tf, left, right, "trunc"), right))


def _power(tf: TensorFlow, value: Value, exponent: float) -> Value:
    tensor = as_float(tf, value.tensor)
    if exponent in (2, 3, _LONGEST_PRODUCT):
        square = tf.square(tensor)
        return same_layout(value, square if exponent == 2 else square * tensor if exponent == 3 else tf.square(square))
    if exponent in (0.5, -0.5, -1, 1):
        simple = {0.5: tf.sqrt, -0.5: tf.math.rsqrt, -1: tf.math.reciprocal, 1: tf.identity}[exponent]
        return same_layout(value, simple(tensor))
    return same_layout(value, tf.pow(tensor, np.float32(exponent)))


def _power_of_tensors(tf: TensorFlow, base: Operand, exponent: Operand) -> Value:
    return broadcast(tf, lambda *pair: tf.pow(*(as_float(tf, each) for each in pair)), base, exponent)


def _clamp(tf: TensorFlow, value: Value, low: Operand | None, high: Operand | None) -> Value:
    if isinstance(low, int | float | None) and isinstance(high, int | float | None):
        return same_layout(value, _clamp_by_numbers(tf, value.tensor, low, high))
    for limit, name in ((low, "maximum"), (high, "minimum")):
        value = value if limit is None else _binary(name)(tf, value, limit)
    return value


def _clamp_by_numbers(tf: TensorFlow, value: Tensor, low: float | None, high: float | None) -> Tensor:
    number = value.dtype.as_numpy_dtype
    if low == 0 and high == 6 and number == np.float32:
        return tf.nn.relu6(value)
    if low == 0 and number == np.float32:
        value, low = tf.nn.relu(value), None
    if low is not None:
        value = tf.maximum(value, number(low))
    return value if high is None else tf.minimum(value, number(high))


def _error_function(tf: TensorFlow, value: Tensor) -> Tensor:
    """Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26; error at most 1.5e-7. TFLite has no erf."""
    size = tf.abs(value)
    t = 1 / (1 + np.float32(0.3275911) * size)
    total = np.float32(1.061405429) * t
    for factor in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        total = (total + np.float32(factor)) * t
    return tf.sign(value) * (1 - total * tf.exp(-tf.square(value)))


def _truncate(tf: TensorFlow, value: Tensor) -> Tensor:
    return tf.sign(value) * tf.floor(tf.abs(value))


def _area_sine(tf: TensorFlow, value: Tensor) -> Tensor:
    size = tf.abs(value)
    return tf.sign(value) * tf.math.log(size + tf.sqrt(tf.square(size) + 1))


def _cosine_of_sine(tf: TensorFlow, value: Tensor) -> Tensor:
    return tf.sqrt(1 - tf.square(value))


# Functions that TFLite lacks, from those that it has.
_INVERSE_AND_HYPERBOLIC: Mapping[str, Callable[..., Tensor]] = {
    "asinh": _area_sine,
    "acosh": lambda tf, x: tf.math.log(x + tf.sqrt(tf.square(x) - 1)),
    "atanh": lambda tf, x: tf.math.log((1 + x) / (1 - x)) * np.float32(0.5),
    "sinh": lambda tf, x: (tf.exp(x) - tf.exp(-x)) * np.float32(0.5),
    "cosh": lambda tf, x: (tf.exp(x) + tf.exp(-x)) * np.float32(0.5),
    "asin": lambda tf, x: tf.math.atan2(x, _cosine_of_sine(tf, x)),
    "acos": lambda tf, x: tf.math.atan2(_cosine_of_sine(tf, x), x),
    "atan": lambda tf, x: tf.math.atan2(x, tf.ones_like(x)),
}


def _to(tf: TensorFlow, value: Operand, dtype: Any = None, *_: object) -> Operand:
    """A change of dtype; the file holds float32, int32 and bool alone."""
    if not isinstance(value, Value) or dtype is None:
        return value
    import torch

    wanted = np.float32 if dtype.is_floating_point else np.bool_ if dtype == torch.bool else np.int32
    if dtype in (torch.uint8, torch.int8, torch.int16) and value.tensor.dtype != tf.bool:
        raise ValueError(f"a change to {dtype}, which wraps around; use torch.int32")
    return same_layout(value, _cast(tf, value.tensor, wanted))


def _convert(tf: TensorFlow, value: Operand, dtype: Any) -> Operand:
    return _to(tf, value, dtype)


def _unary(name: str) -> Callable[..., Any]:
    return elementwise(lambda tf, value, *_: getattr(tf.math, name)(value))


def _sign_kept(name: str) -> Callable[..., Any]:
    """A function of `tf.math` that PyTorch computes for integers as well, without a change of dtype."""
    return lambda tf, value, *_: same_layout(value, getattr(tf.math, name)(value.tensor))


def _identity(tf: TensorFlow, value: Operand, *_: object) -> Operand:
    return value


def _logarithm(base: float) -> Callable[..., Any]:
    return elementwise(lambda tf, value: tf.math.log(value) * np.float32(1 / np.log(base)))


# What some of PyTorch's decompositions arrive at.
_PRIMITIVES = {"add": "add", "sub": "subtract", "mul": "multiply", "div": "divide"}

POINTWISE: Mapping[str, Callable[..., Any]] = {
    **{f"aten.add.{kind}": _add for kind in ("Tensor", "Scalar")},
    **{f"aten.sub.{kind}": _subtract for kind in ("Tensor", "Scalar")},
    **{f"aten.rsub.{kind}": _reversed_subtract for kind in ("Tensor", "Scalar")},
    **{f"aten.mul.{kind}": _multiply for kind in ("Tensor", "Scalar")},
    **{f"aten.div.{kind}": _divide for kind in ("Tensor", "Scalar")},
    **{f"aten.div.{kind}_mode": _divide_rounded for kind in ("Tensor", "Scalar")},
    "aten.floor_divide.default": lambda tf, left, right: _divide_rounded(tf, left, right, "floor"),
    **{f"aten.remainder.{kind}": _binary("floormod") for kind in ("Tensor", "Scalar")},
    **{f"aten.fmod.{kind}": _remainder_of_truncation for kind in ("Tensor", "Scalar")},
    **{f"aten.{name}.default": elementwise(function) for name, function in _INVERSE_AND_HYPERBOLIC.items()},
    "aten.maximum.default": _binary("maximum"),
    "aten.minimum.default": _binary("minimum"),
    "aten.pow.Tensor_Scalar": _power,
    "aten.pow.Tensor_Tensor": _power_of_tensors,
    "aten.pow.Scalar": _power_of_tensors,
    "aten.atan2.default": _binary("atan2"),
    "aten.hypot.default": lambda tf, *sides: broadcast(
        tf, lambda *pair: tf.sqrt(tf.square(pair[0]) + tf.square(pair[1])), *sides
    ),
    "aten.neg.default": _sign_kept("negative"),
    "aten.abs.default": _sign_kept("abs"),
    "aten.square.default": _sign_kept("square"),
    "aten.sign.default": _sign_kept("sign"),
    **{f"aten.{name}.default": _unary(name) for name in ("exp", "log", "log1p", "expm1", "sqrt", "rsqrt", "tanh")},
    **{
        f"aten.{name}.default": _unary(name)
        for name in ("sigmoid", "sin", "cos", "reciprocal", "floor", "ceil", "round")
    },
    "aten.tan.default": elementwise(lambda tf, value: tf.sin(value) / tf.cos(value)),
    "aten.exp2.default": elementwise(lambda tf, value: tf.exp(value * np.float32(np.log(2)))),
    "aten.log2.default": _logarithm(2),
    "aten.log10.default": _logarithm(10),
    "aten.trunc.default": elementwise(_truncate),
    "aten.fix.default": elementwise(_truncate),
    "aten.erf.default": elementwise(_error_function),
    "aten.clamp.default": _clamp,
    "aten.clamp.Tensor": _clamp,
    "aten.clamp_min.default": lambda tf, value, low: _clamp(tf, value, low, None),
    "aten.clamp_max.default": lambda tf, value, high: _clamp(tf, value, None, high),
    "aten.clamp_min.Tensor": lambda tf, value, low: _clamp(tf, value, low, None),
    "aten.clamp_max.Tensor": lambda tf, value, high: _clamp(tf, value, None, high),
    "aten.hardtanh.default": _clamp,
    "aten._to_copy.default": _to,
    "prims.convert_element_type.default": _convert,
    **{f"prims.{name}.default": _binary(function) for name, function in _PRIMITIVES.items()},
    **{
        f"prims.{name}.default": _unary(name) for name in ("exp", "log", "sqrt", "rsqrt", "reciprocal", "floor", "ceil")
    },
    **{f"aten.{name}.default": _identity for name in ("clone", "alias", "detach", "detach_", "contiguous")},
    "aten.lift_fresh_copy.default": _identity,
}
