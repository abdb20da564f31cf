"""Convolutions and batch norm in TensorFlow. Images are NHWC; weights come in PyTorch's layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.lowering.values import Tensor, TensorFlow, pair, shape

Weight = NDArray[np.float32]


def _conv2d(
    tf: TensorFlow,
    image: Tensor,
    weight: Weight,
    bias: Weight | None,
    stride: list[int],
    padding: list[int] | str,
    dilation: list[int],
    groups: int,
) -> Tensor:
    """Plain, grouped or depthwise convolution; weight `(out, in / groups, kh, kw)`."""
    strides, dilations = pair(stride), pair(dilation)
    kernel = weight.shape[2:]
    if isinstance(padding, str):
        pads = [((d * (k - 1)) // 2, -(-(d * (k - 1)) // 2)) for k, d in zip(kernel, dilations, strict=True)]
        pads = pads if padding == "same" else [(0, 0), (0, 0)]
    else:
        pads = [(side, side) for side in pair(padding)]
    rule = "SAME" if _is_same(image, kernel, strides, pads, dilations) else "VALID"
    if rule == "VALID" and any(sum(sides) for sides in pads):
        image = tf.pad(image, [(0, 0), *pads, (0, 0)])
    common = {"strides": [1, *strides, 1], "padding": rule, "dilations": [1, *dilations, 1]}
    if groups > 1 and groups == shape(image)[3] and strides[0] == strides[1]:
        multiplier = weight.shape[0] // groups
        kernels = weight.reshape(groups, multiplier, *kernel).transpose(2, 3, 0, 1)  # (kh, kw, in, multiplier)
        features = tf.raw_ops.DepthwiseConv2dNative(input=image, filter=kernels, **common)
    else:
        kernels = weight.transpose(2, 3, 1, 0)  # (kh, kw, in / groups, out)
        features = tf.raw_ops.Conv2D(input=image, filter=kernels, **common)
    return features if bias is None else tf.nn.bias_add(features, bias)


def _is_same(
    image: Tensor,
    kernel: tuple[int, ...],
    strides: tuple[int, int],
    pads: list[tuple[int, int]],
    dilations: tuple[int, int],
) -> bool:
    """Whether TensorFlow's SAME padding equals `pads`, so that the file needs no separate padding operation."""
    for side, k, stride, (before, after), dilation in zip(
        shape(image)[1:3], kernel, strides, pads, dilations, strict=True
    ):
        reach = dilation * (k - 1) + 1
        outputs = (side + before + after - reach) // stride + 1
        needed = max((outputs - 1) * stride + reach - side, 0)
        same_outputs = -(-side // stride)
        if outputs != same_outputs or needed // 2 != before or needed - needed // 2 > after:
            return False
    return True


def _conv_transpose2d(
    tf: TensorFlow,
    image: Tensor,
    weight: Weight,
    bias: Weight | None,
    stride: list[int],
    padding: list[int],
    output_padding: list[int],
    groups: int,
    dilation: list[int],
) -> Tensor:
    """Transposed convolution; weight `(in, out / groups, kh, kw)`. PyTorch crops the full result by `padding`."""
    if pair(dilation) != (1, 1):
        raise ValueError(f"a transposed convolution with dilation {dilation}; use dilation 1")
    parts = tf.split(image, groups, axis=3) if groups > 1 else [image]
    kernels = np.split(weight, groups, axis=0)
    geometry = (pair(stride), pair(padding), pair(output_padding))
    outputs = [_transposed_group(tf, part, kernel, geometry) for part, kernel in zip(parts, kernels, strict=True)]
    features = outputs[0] if groups == 1 else tf.concat(outputs, axis=3)
    return features if bias is None else tf.nn.bias_add(features, bias)


def _transposed_group(tf: TensorFlow, image: Tensor, weight: Weight, geometry: tuple[tuple[int, int], ...]) -> Tensor:
    strides, pads, extra = geometry
    batch, *sides, _ = shape(image)
    kernel, channels = weight.shape[2:], weight.shape[1]
    wanted, full, same = [], [], True
    for side, k, stride, pad, more in zip(sides, kernel, strides, pads, extra, strict=True):
        out = (side - 1) * stride + k - 2 * pad + more
        spare = max((-(-out // stride) - 1) * stride + k - out, 0)
        same = same and -(-out // stride) == side and spare // 2 == pad and k >= stride
        wanted.append(out)
        full.append(max((side - 1) * stride + max(k, stride if more else k), pad + out))
    filters = weight.transpose(2, 3, 1, 0)  # (kh, kw, out, in)
    if same:
        return tf.nn.conv2d_transpose(image, filters, [batch, *wanted, channels], list(strides), padding="SAME")
    features = tf.nn.conv2d_transpose(image, filters, [batch, *full, channels], list(strides), padding="VALID")
    return tf.slice(features, [0, *pads, 0], [batch, *wanted, channels])


def _batch_norm(
    tf: TensorFlow,
    features: Tensor,
    weight: Weight | None,
    bias: Weight | None,
    mean: Weight,
    variance: Weight,
    momentum: float,
    epsilon: float,
) -> list[Tensor]:
    """One factor and one summand per channel, from float64; the converter folds both into a preceding convolution."""
    factor = 1 / np.sqrt(variance.astype(np.float64) + epsilon)
    factor = factor if weight is None else factor * weight
    summand = -mean * factor if bias is None else bias - mean * factor
    return [features * factor.astype(np.float32) + summand.astype(np.float32)]


CONVOLUTION: Mapping[str, Callable[..., Any]] = {
    "aten.conv2d.default": _conv2d,
    "aten.conv2d.padding": _conv2d,
    "aten.conv_transpose2d.input": _conv_transpose2d,
    "aten._native_batch_norm_legit_no_training.default": _batch_norm,
}
