"""Normalisation layers in TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.lowering.layout import constant_in, in_channels_last
from tf_bridge.lowering.values import Constant, Tensor, TensorFlow, Value, same_layout

Weight = NDArray[np.float32]


def _batch_norm(
    tf: TensorFlow,
    features: Value,
    weight: Weight | None,
    bias: Weight | None,
    mean: Weight,
    variance: Weight,
    momentum: float,
    epsilon: float,
) -> list[Value]:
    """One factor and one summand per channel, from float64; the converter folds both into a preceding convolution.

    It drops a summand of zero, and then names the result after the convolution instead of the norm.
    """
    factor = 1 / np.sqrt(variance.astype(np.float64) + epsilon)
    factor = factor if weight is None else factor * weight
    summand = -mean * factor if bias is None else bias - mean * factor
    if not summand.any():
        summand[:] = np.finfo(np.float32).tiny
    last = in_channels_last(tf, features)
    return [same_layout(last, last.tensor * factor.astype(np.float32) + summand.astype(np.float32))]


def _batch_norm_of_batch(
    tf: TensorFlow,
    features: Value,
    weight: Weight | None,
    bias: Weight | None,
    training: bool,
    momentum: float,
    epsilon: float,
) -> list[Value]:
    """A batch norm that keeps no statistics and takes those of its input."""
    last = in_channels_last(tf, features)
    normal = _normalised(tf, last.tensor, list(range(last.rank - 1)), epsilon)
    return [same_layout(last, _scaled(normal, weight, bias))]


def _normalised(tf: TensorFlow, tensor: Tensor, axes: list[int], epsilon: float) -> Tensor:
    """Mean 0 and variance 1 over these axes."""
    centred = tensor - tf.reduce_mean(tensor, axis=axes, keepdims=True)
    variance = tf.reduce_mean(tf.square(centred), axis=axes, keepdims=True)
    return centred * tf.math.rsqrt(variance + np.float32(epsilon))


def _scaled(tensor: Tensor, weight: Constant | None, bias: Constant | None) -> Tensor:
    tensor = tensor if weight is None else tensor * weight
    return tensor if bias is None else tensor + bias


def _layer_norm(
    tf: TensorFlow, value: Value, shape: list[int], weight: Weight | None, bias: Weight | None, epsilon: float, *_: Any
) -> Value:
    """Over the last dimensions, wherever they are stored."""
    axes = sorted(value.axis(-1 - index) for index in range(len(shape)))
    normal = _normalised(tf, value.tensor, axes, epsilon)
    placed = [None if each is None else constant_in(each, value.order) for each in (weight, bias)]
    return same_layout(value, _scaled(normal, *placed))


def _rms_norm(tf: TensorFlow, value: Value, shape: list[int], weight: Weight | None, epsilon: float | None) -> Value:
    """Over the last dimensions, without a change of the mean."""
    axes = sorted(value.axis(-1 - index) for index in range(len(shape)))
    squares = tf.reduce_mean(tf.square(value.tensor), axis=axes, keepdims=True)
    least = np.float32(np.finfo(np.float32).eps if epsilon is None else epsilon)
    normal = value.tensor * tf.math.rsqrt(squares + least)
    return same_layout(value, _scaled(normal, None if weight is None else constant_in(weight, value.order), None))


def _group_norm(
    tf: TensorFlow, value: Value, groups: int, weight: Weight | None, bias: Weight | None, epsilon: float, *_: Any
) -> Value:
    """Over the image and the channels of a group, with the channels stored last."""
    last = in_channels_last(tf, value)
    batch, *sides, channels = last.stored
    if groups in (1, channels):
        axes = list(range(1, last.rank if groups == 1 else last.rank - 1))
        normal = _normalised(tf, last.tensor, axes, epsilon)
    else:
        split = tf.reshape(last.tensor, [batch, prod(sides), groups, channels // groups])
        normal = tf.reshape(_normalised(tf, split, [1, 3], epsilon), last.stored)
    return same_layout(last, _scaled(normal, weight, bias))


def _native_group_norm(
    tf: TensorFlow,
    value: Value,
    weight: Weight | None,
    bias: Weight | None,
    batch: int,
    channels: int,
    pixels: int,
    groups: int,
    epsilon: float,
) -> list[Value]:
    return [_group_norm(tf, value, groups, weight, bias, epsilon)]


def _instance_norm(
    tf: TensorFlow,
    value: Value,
    weight: Weight | None,
    bias: Weight | None,
    mean: Weight | None,
    variance: Weight | None,
    use_input_stats: bool,
    momentum: float,
    epsilon: float,
    *_: Any,
) -> Value:
    """Over the image of every channel; with statistics of its own it is a batch norm."""
    if not use_input_stats:
        assert mean is not None
        assert variance is not None
        return _batch_norm(tf, value, weight, bias, mean, variance, momentum, epsilon)[0]
    return _group_norm(tf, value, value.shape[1], weight, bias, epsilon)


def _native_layer_norm(tf: TensorFlow, *arguments: Any) -> list[Value]:
    return [_layer_norm(tf, *arguments)]


NORMALISATION: Mapping[str, Callable[..., Any]] = {
    "aten._native_batch_norm_legit_no_training.default": _batch_norm,
    "aten._native_batch_norm_legit.no_stats": _batch_norm_of_batch,
    "aten.layer_norm.default": _layer_norm,
    "aten.native_layer_norm.default": _native_layer_norm,
    "aten.rms_norm.default": _rms_norm,
    "aten.group_norm.default": _group_norm,
    "aten.native_group_norm.default": _native_group_norm,
    "aten.instance_norm.default": _instance_norm,
}
