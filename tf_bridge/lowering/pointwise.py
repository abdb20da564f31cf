"""Elementwise arithmetic and activations in TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tf_bridge.lowering.values import Tensor, TensorFlow, is_constant, rank, transposed


def _binary(name: str) -> Callable[..., Any]:
    """An operation of `tf.math` on two values, either of which may be a constant."""

    def apply(tf: TensorFlow, left: Tensor, right: Tensor, *_: object) -> Tensor:
        return getattr(tf.math, name)(*_aligned(left, right))

    return apply


def _aligned(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Both operands in one layout: a constant takes that of the graph tensor it is combined with."""
    if is_constant(left) and is_constant(right):
        return np.asarray(left, np.float32), np.asarray(right, np.float32)
    if is_constant(right):
        return left, transposed(right, rank(left))
    if is_constant(left):
        return transposed(left, rank(right)), right
    if rank(left) != rank(right):
        raise ValueError(f"operands of {rank(left)} and {rank(right)} axes; give both the same number of axes")
    return left, right


def _add(tf: TensorFlow, left: Tensor, right: Tensor, alpha: float = 1) -> Tensor:
    return _binary("add")(tf, left, right if alpha == 1 else _scaled(right, alpha))


def _subtract(tf: TensorFlow, left: Tensor, right: Tensor, alpha: float = 1) -> Tensor:
    return _binary("subtract")(tf, left, right if alpha == 1 else _scaled(right, alpha))


def _scaled(value: Tensor, factor: float) -> Tensor:
    return value * factor if is_constant(value) else value * np.float32(factor)


def _divide(tf: TensorFlow, left: Tensor, right: Tensor, *_: object) -> Tensor:
    # A constant divisor becomes a factor, which the converter can fold into the preceding convolution.
    if is_constant(right) and not is_constant(left):
        return left * transposed(1.0 / np.asarray(right, np.float64), rank(left))
    return _binary("divide")(tf, left, right)


def _clamp(tf: TensorFlow, value: Tensor, low: float | None, high: float | None) -> Tensor:
    if low == 0 and high == 6:
        return tf.nn.relu6(value)
    if low == 0:
        value, low = tf.nn.relu(value), None
    if low is not None:
        value = tf.maximum(value, np.float32(low))
    return value if high is None else tf.minimum(value, np.float32(high))


def _leaky_relu(tf: TensorFlow, value: Tensor, slope: float) -> Tensor:
    return tf.nn.leaky_relu(value, slope)


def _prelu(tf: TensorFlow, value: Tensor, slope: Tensor) -> Tensor:
    per_channel = np.asarray(slope, np.float32).reshape(-1)
    # The pattern that TensorFlow's converter recognises as PRELU.
    return tf.nn.relu(value) + per_channel * -tf.nn.relu(-value)


def _elu(tf: TensorFlow, value: Tensor, alpha: float, scale: float, input_scale: float) -> Tensor:
    if (alpha, scale, input_scale) == (1, 1, 1):
        return tf.nn.elu(value)
    negative = np.float32(alpha * scale) * (tf.exp(np.float32(input_scale) * tf.minimum(value, 0.0)) - 1.0)
    return np.float32(scale) * tf.nn.relu(value) + negative


def _selu(tf: TensorFlow, value: Tensor) -> Tensor:
    # The constants of arXiv:1706.02515, with the same digits as in PyTorch.
    return _elu(tf, value, 1.6732632423543772848170429916717, 1.0507009873554804934193349852946, 1)


def _hard_sigmoid(tf: TensorFlow, value: Tensor) -> Tensor:
    return tf.nn.relu6(value + np.float32(3)) * np.float32(1 / 6)


def _hard_swish(tf: TensorFlow, value: Tensor) -> Tensor:
    return value * _hard_sigmoid(tf, value)


def _silu(tf: TensorFlow, value: Tensor) -> Tensor:
    return value * tf.sigmoid(value)


def _softplus(tf: TensorFlow, value: Tensor, beta: float, threshold: float) -> Tensor:
    # max(x, 0) + log(1 + exp(-|x|)) cannot overflow; PyTorch has the threshold only to avoid that overflow.
    scaled = value * np.float32(beta)
    return (tf.nn.relu(scaled) + tf.math.log(1.0 + tf.exp(-tf.abs(scaled)))) * np.float32(1 / beta)


def _mish(tf: TensorFlow, value: Tensor) -> Tensor:
    return value * tf.tanh(_softplus(tf, value, 1, 20))


def _gelu(tf: TensorFlow, value: Tensor, approximate: str) -> Tensor:
    if approximate == "tanh":
        return tf.nn.gelu(value, approximate=True)
    # Term for term the pattern that TensorFlow's converter recognises as GELU; TFLite has no erf to fall back on.
    return (value * np.float32(0.5)) * (tf.math.erf(value * np.float32(0.5**0.5)) + np.float32(1))


def _power(tf: TensorFlow, value: Tensor, exponent: float) -> Tensor:
    return tf.square(value) if exponent == 2 else tf.pow(value, np.float32(exponent))


def _unary(name: str) -> Callable[..., Any]:
    def apply(tf: TensorFlow, value: Tensor, *_: object) -> Tensor:
        return getattr(tf.math, name)(value)

    return apply


def _relu(tf: TensorFlow, value: Tensor) -> Tensor:
    return tf.nn.relu(value)


def _relu6(tf: TensorFlow, value: Tensor) -> Tensor:
    return tf.nn.relu6(value)


def _negate_subtract(tf: TensorFlow, left: Tensor, right: Tensor, alpha: float = 1) -> Tensor:
    return _subtract(tf, right, _scaled(left, alpha))


POINTWISE: Mapping[str, Callable[..., Any]] = {
    "aten.add.Tensor": _add,
    "aten.add.Scalar": _add,
    "aten.sub.Tensor": _subtract,
    "aten.sub.Scalar": _subtract,
    "aten.rsub.Scalar": _negate_subtract,
    "aten.mul.Tensor": _binary("multiply"),
    "aten.mul.Scalar": _binary("multiply"),
    "aten.div.Tensor": _divide,
    "aten.div.Scalar": _divide,
    "aten.maximum.default": _binary("maximum"),
    "aten.minimum.default": _binary("minimum"),
    "aten.pow.Tensor_Scalar": _power,
    "aten.neg.default": _unary("negative"),
    "aten.abs.default": _unary("abs"),
    "aten.exp.default": _unary("exp"),
    "aten.log.default": _unary("log"),
    "aten.sqrt.default": _unary("sqrt"),
    "aten.square.default": _unary("square"),
    "aten.rsqrt.default": _unary("rsqrt"),
    "aten.tanh.default": _unary("tanh"),
    "aten.sigmoid.default": _unary("sigmoid"),
    "aten.softplus.default": _softplus,
    "aten.relu.default": _relu,
    "aten.relu6.default": _relu6,
    "aten.hardtanh.default": _clamp,
    "aten.clamp.default": _clamp,
    "aten.clamp_min.default": lambda tf, value, low: _clamp(tf, value, low, None),
    "aten.clamp_max.default": lambda tf, value, high: _clamp(tf, value, None, high),
    "aten.leaky_relu.default": _leaky_relu,
    "aten.prelu.default": _prelu,
    "aten._prelu_kernel.default": _prelu,
    "aten.elu.default": _elu,
    "aten.selu.default": _selu,
    "aten.hardsigmoid.default": _hard_sigmoid,
    "aten.hardswish.default": _hard_swish,
    "aten.silu.default": _silu,
    "aten.mish.default": _mish,
    "aten.gelu.default": _gelu,
}
