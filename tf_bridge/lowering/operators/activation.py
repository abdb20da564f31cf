"""Activations in TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tf_bridge.lowering.layout import constant_in
from tf_bridge.lowering.operators.pointwise import elementwise
from tf_bridge.lowering.values import Operand, Tensor, TensorFlow, Value, same_layout

_LINEAR = 15  # from here on, softplus and the identity are the same in float32


def _leaky_relu(tf: TensorFlow, value: Tensor, slope: float) -> Tensor:
    return tf.nn.leaky_relu(value, slope)


def _random_relu(tf: TensorFlow, value: Value, lower: float, upper: float, training: bool, *_: object) -> Value:
    """Outside training, its slope is the mean of its limits."""
    _refuse_training(training, "a randomised leaky ReLU")
    return elementwise(_leaky_relu)(tf, value, (lower + upper) / 2)


def _dropout(tf: TensorFlow, value: Operand, probability: float, training: bool) -> Operand:
    if probability > 0:
        _refuse_training(training, "a dropout")
    return value


def _refuse_training(training: bool, what: str) -> None:
    if training:
        raise ValueError(f"{what} that stays in training mode; pass training=self.training")


def _prelu(tf: TensorFlow, value: Value, slope: Any) -> Value:
    slope = np.asarray(slope, np.float32)
    per_channel: Any = slope.reshape(-1)
    if slope.size > 1 and value.axis(1) != value.rank - 1:
        per_channel = constant_in(slope.reshape(-1, *[1] * (value.rank - 2)), value.order)
    # The pattern that TensorFlow's converter recognises as PRELU.
    return same_layout(value, tf.nn.relu(value.tensor) + per_channel * -tf.nn.relu(-value.tensor))


def _elu(tf: TensorFlow, value: Tensor, alpha: float, scale: float, input_scale: float) -> Tensor:
    if (alpha, scale, input_scale) == (1, 1, 1):
        return tf.nn.elu(value)
    # Not the minimum with zero: in an int8 file it would leave its input, and so the relu, without positive values.
    below = -tf.nn.relu(-value)
    negative = np.float32(alpha * scale) * (tf.exp(np.float32(input_scale) * below) - 1.0)
    return np.float32(scale) * tf.nn.relu(value) + negative


def _celu(tf: TensorFlow, value: Tensor, alpha: float) -> Tensor:
    return _elu(tf, value, alpha, 1, 1 / alpha)


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
    # max(x, 0) + log(1 + exp(-|x|)) cannot overflow, which is what PyTorch has the threshold for.
    scaled = value * np.float32(beta)
    soft = (tf.nn.relu(scaled) + tf.math.log(1.0 + tf.exp(-tf.abs(scaled)))) * np.float32(1 / beta)
    return soft if threshold > _LINEAR else tf.where(scaled > np.float32(threshold), value, soft)


def _log_sigmoid(tf: TensorFlow, value: Tensor) -> Tensor:
    return -_softplus(tf, -value, 1, 20)


def _mish(tf: TensorFlow, value: Tensor) -> Tensor:
    return value * tf.tanh(_softplus(tf, value, 1, 20))


def _gelu(tf: TensorFlow, value: Tensor, approximate: str) -> Tensor:
    if approximate == "tanh":
        return tf.nn.gelu(value, approximate=True)
    # Term for term the pattern that TensorFlow's converter recognises as GELU; TFLite has no erf to fall back on.
    return (value * np.float32(0.5)) * (tf.math.erf(value * np.float32(0.5**0.5)) + np.float32(1))


def _relu(tf: TensorFlow, value: Tensor) -> Tensor:
    return tf.nn.relu(value)


def _relu6(tf: TensorFlow, value: Tensor) -> Tensor:
    return tf.nn.relu6(value)


ACTIVATION: Mapping[str, Callable[..., Any]] = {
    "aten.softplus.default": elementwise(_softplus),
    "aten.log_sigmoid.default": elementwise(_log_sigmoid),
    "aten.relu.default": elementwise(_relu),
    "aten.relu6.default": elementwise(_relu6),
    "aten.leaky_relu.default": elementwise(_leaky_relu),
    "aten.rrelu.default": _random_relu,
    "aten.prelu.default": _prelu,
    "aten._prelu_kernel.default": _prelu,
    "aten.elu.default": elementwise(_elu),
    "aten.celu.default": elementwise(_celu),
    "aten.selu.default": elementwise(_selu),
    "aten.hardsigmoid.default": elementwise(_hard_sigmoid),
    "aten.hardswish.default": elementwise(_hard_swish),
    "aten.silu.default": elementwise(_silu),
    "aten.mish.default": elementwise(_mish),
    "aten.gelu.default": elementwise(_gelu),
    "aten.dropout.default": _dropout,
    "aten.feature_dropout.default": _dropout,
    "aten.alpha_dropout.default": _dropout,
    "aten.feature_alpha_dropout.default": _dropout,
}
