"""Convolutions over height, width and depth in TensorFlow, as sums of convolutions of images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.lowering.layout import in_channels_last
from tf_bridge.lowering.operators.spatial.convolution import conv2d
from tf_bridge.lowering.values import TensorFlow, Value, channels_last, value_of

Weight = NDArray[np.float32]


def convolved_volume(
    tf: TensorFlow,
    volume: Value,
    weight: Weight,
    bias: Weight | None,
    stride: list[int],
    padding: list[int] | str,
    dilation: list[int],
    groups: int,
) -> Value:
    """A convolution of `(B, C, D, H, W)`; weight `(out, in / groups, kd, kh, kw)`.

    TFLite's own convolution of volumes has no int8. For each step through the kernel's depth, the slices that it meets
    are a batch of images.
    """
    if isinstance(weight, Value) or isinstance(padding, str) or volume.rank != 5:
        raise ValueError("a convolution of a volume with computed weights, named padding, or without a batch")
    steps, pads, dilation = (list(each) * (3 // len(each)) for each in (stride, padding, dilation))
    tensor = in_channels_last(tf, volume).tensor
    tensor = tf.pad(tensor, [(0, 0), (pads[0], pads[0]), (0, 0), (0, 0), (0, 0)]) if pads[0] else tensor
    batch, depth, *sides = (int(side) for side in tensor.shape)
    slices = (depth - dilation[0] * (weight.shape[2] - 1) - 1) // steps[0] + 1
    rest = (steps[1:], pads[1:], dilation[1:], groups)
    parts = []
    for step in range(weight.shape[2]):
        first = step * dilation[0]
        chosen = [tensor[:, at : at + 1] for at in range(first, first + slices * steps[0], steps[0])]
        met = tensor[:, first : first + slices] if steps[0] == 1 else tf.concat(chosen, axis=1)
        images = tf.reshape(met, [batch * slices, *sides])
        parts.append(conv2d(tf, images, weight[:, :, step], bias if step == 0 else None, *rest))
    total = reduce(tf.add, parts)
    return value_of(tf.reshape(total, [batch, slices, *total.shape[1:]]), channels_last(5))


VOLUME: Mapping[str, Callable[..., Any]] = {"aten.conv3d.default": convolved_volume}
