"""Convolutions in TensorFlow whose weights depend on the image: dynamic, conditional and depthwise ones."""

from __future__ import annotations

from functools import reduce

from tf_bridge.lowering.layout import arranged, in_channels_last
from tf_bridge.lowering.operators.pointwise import POINTWISE
from tf_bridge.lowering.values import Operand, Tensor, TensorFlow, Value, channels_last, graph_value, value_of

Pads = list[tuple[int, int]]  # before and after the rows, and the columns


def convolved_by_image(
    tf: TensorFlow,
    image: Value,
    weight: Value,
    bias: Operand | None,
    strides: tuple[int, int],
    pads: Pads,
    dilations: tuple[int, int],
    groups: int,
) -> Value:
    """A convolution of `(B, C, H, W)` with computed weights `(out, in / groups, kh, kw)`.

    TFLite's convolutions take constant weights alone. With one kernel per channel, the shifted images are multiplied
    and summed up; else they are the columns of a matrix, which is multiplied by the weights.
    """
    shifted = _shifted(tf, in_channels_last(tf, image).tensor, weight.shape[2:], strides, pads, dilations)
    kernels = arranged(tf, weight, (2, 3, 1, 0)).tensor  # (kh, kw, in / groups, out)
    out, depth = weight.shape[:2]
    if groups == out and depth == 1:
        taps = tf.split(tf.reshape(kernels, [len(shifted), out]), len(shifted), axis=0)
        result = reduce(tf.add, [each * tf.reshape(tap, [out]) for each, tap in zip(shifted, taps, strict=True)])
    else:
        parts = zip(*(_in_groups(tf, each, groups) for each in shifted), strict=True)
        matrices = _in_groups(tf, tf.reshape(kernels, [len(shifted) * depth, out]), groups)
        products = [_product(tf, list(part), matrix) for part, matrix in zip(parts, matrices, strict=True)]
        result = products[0] if groups == 1 else tf.concat(products, axis=3)
    features = value_of(result, channels_last(4))
    if bias is None:
        return features
    summand = graph_value(tf, bias).tensor
    wide = value_of(tf.reshape(summand, [1, 1, 1, out]), channels_last(4))
    return POINTWISE["aten.add.Tensor"](tf, features, wide)  # type: ignore[no-any-return]


def _shifted(
    tf: TensorFlow,
    image: Tensor,
    kernel: tuple[int, ...],
    strides: tuple[int, int],
    pads: Pads,
    dilations: tuple[int, int],
) -> list[Tensor]:
    """For each pixel of the kernel, the pixels of the image that it meets, NHWC."""
    if any(sum(sides) for sides in pads):
        image = tf.pad(image, [(0, 0), *pads, (0, 0)])
    sides = [int(side) for side in image.shape[1:3]]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    counts = [(side - span) // step + 1 for side, span, step in zip(sides, reach, strides, strict=True)]
    rows, columns = (
        [slice(k * d, k * d + (count - 1) * step + 1, step) for k in range(size)]
        for size, d, count, step in zip(kernel, dilations, counts, strides, strict=True)
    )
    return [image[:, row, column] for row in rows for column in columns]


def _in_groups(tf: TensorFlow, tensor: Tensor, groups: int) -> list[Tensor]:
    return [tensor] if groups == 1 else tf.split(tensor, groups, axis=-1)


def _product(tf: TensorFlow, shifted: list[Tensor], matrix: Tensor) -> Tensor:
    columns = shifted[0] if len(shifted) == 1 else tf.concat(shifted, axis=3)
    *sides, depth = (int(side) for side in columns.shape)
    return tf.reshape(tf.linalg.matmul(tf.reshape(columns, [-1, depth]), matrix), [*sides, int(matrix.shape[1])])
