"""Sampling at computed places in TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from math import prod
from typing import Any

import numpy as np

from tf_bridge.lowering.layout import in_channels_last, in_order
from tf_bridge.lowering.values import Operand, Tensor, TensorFlow, Value, channels_last, value_of

_NEAREST, _BICUBIC = 1, 2  # PyTorch's numbers of the interpolations; 0 is bilinear
_ZEROS, _BORDER = 0, 1  # and of the padding modes; 2 is reflection


def _grid_sample(
    tf: TensorFlow, image: Value, grid: Operand, interpolation: int, padding: int, align_corners: bool
) -> Value:
    """Takes pixels of `(B, C, H, W)` at the places of a grid `(B, h, w, 2)`, from -1 to 1, x before y."""
    if interpolation == _BICUBIC or image.rank != 4:
        raise ValueError("a bicubic sampling, or one of volumes; use bilinear or nearest, and images")
    places = in_order(tf, grid) if isinstance(grid, Value) else tf.constant(grid)
    sides = image.shape[2:]
    x, y = (
        _pixel(tf, places[..., index], side, padding, align_corners) for index, side in ((0, sides[1]), (1, sides[0]))
    )
    nhwc = in_channels_last(tf, image).tensor
    pixels = tf.reshape(nhwc, [image.shape[0] * prod(sides), image.shape[1]])
    if interpolation == _NEAREST:
        corners = [(tf.round(y), tf.round(x), None)]
    else:
        top, left = tf.floor(y), tf.floor(x)
        corners = [
            (top + row, left + column, (1 - tf.abs(y - top - row)) * (1 - tf.abs(x - left - column)))
            for row in (np.float32(0), np.float32(1))
            for column in (np.float32(0), np.float32(1))
        ]
    taken = [_weighted(tf, pixels, corner, sides, padding) for corner in corners]
    shape = [*(int(side) for side in places.shape[:3]), image.shape[1]]
    return value_of(tf.reshape(reduce(tf.add, taken), shape), channels_last(4))


def _pixel(tf: TensorFlow, place: Tensor, side: int, padding: int, align_corners: bool) -> Tensor:
    """The place of -1 to 1 in pixels."""
    factor = (side - 1) / 2 if align_corners else side / 2
    pixel = place * np.float32(factor) + np.float32((side - 1) / 2)
    if padding == _ZEROS:
        return tf.clip_by_value(pixel, np.float32(-2), np.float32(side + 1))  # beyond that all is zero anyway
    if padding != _BORDER:
        pixel = _reflected(tf, pixel, *((0, side - 1) if align_corners else (-0.5, side - 0.5)))
    return tf.clip_by_value(pixel, np.float32(0), np.float32(side - 1))


def _reflected(tf: TensorFlow, pixel: Tensor, low: float, high: float) -> Tensor:
    """Mirrored at both ends as often as it takes."""
    span = high - low
    if span == 0:
        return tf.zeros_like(pixel)
    distance = tf.abs(pixel - np.float32(low))
    rounds = tf.floor(distance * np.float32(1 / (2 * span)))
    rest = distance - rounds * np.float32(2 * span)
    return np.float32(low + span) - tf.abs(rest - np.float32(span))


def _weighted(
    tf: TensorFlow, pixels: Tensor, corner: tuple[Any, Any, Any], sides: tuple[int, ...], padding: int
) -> Tensor:
    """One pixel for every place, `(h w, C)`, times its weight; zero outside the image if zeros pad it."""
    row, column, weight = corner
    height, width = (np.float32(side - 1) for side in sides)
    inside = (tf.clip_by_value(row, np.float32(0), height), tf.clip_by_value(column, np.float32(0), width))
    index = tf.cast(inside[0] * np.float32(sides[1]) + inside[1], tf.int32)
    if (batch := int(row.shape[0])) > 1:
        index += (np.arange(batch, dtype=np.int32) * prod(sides))[:, None, None]
    taken = tf.gather(pixels, tf.reshape(index, [-1]), axis=0)
    if padding == _ZEROS:
        there = tf.logical_and(tf.equal(row, inside[0]), tf.equal(column, inside[1]))
        kept = tf.cast(there, tf.float32)
        weight = kept if weight is None else weight * kept
    return taken if weight is None else taken * tf.reshape(weight, [-1, 1])


SAMPLING: Mapping[str, Callable[..., Any]] = {
    "aten.grid_sampler.default": _grid_sample,
    "aten.grid_sampler_2d.default": _grid_sample,
}
