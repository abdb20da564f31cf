"""Pooling in TensorFlow, with PyTorch's padding rules. Images are NHWC."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.lowering.values import Tensor, TensorFlow, pair, shape


def _windows(side: int, kernel: int, stride: int, padding: int, ceil_mode: bool) -> int:
    """Number of outputs along one side, as PyTorch counts them."""
    span = side + 2 * padding - kernel
    count = -(-span // stride) + 1 if ceil_mode else span // stride + 1
    # PyTorch drops a last window that would start in the padding at the end.
    return count - 1 if ceil_mode and (count - 1) * stride >= side + padding else count


def _max_pool2d(
    tf: TensorFlow,
    image: Tensor,
    kernel: list[int],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    ceil_mode: bool,
) -> Tensor:
    if pair(dilation) != (1, 1):
        raise ValueError(f"max pooling with dilation {dilation}; use dilation 1")
    kernels, strides = pair(kernel), pair(stride or kernel)
    for axis, (k, step, pad) in enumerate(zip(kernels, strides, pair(padding), strict=True), start=1):
        side = shape(image)[axis]
        after = (_windows(side, k, step, pad, ceil_mode) - 1) * step + k - side - pad
        image = _repeat_edges(tf, image, axis, (pad, max(after, 0)))
    return tf.nn.max_pool2d(image, kernels, strides, "VALID")


def _repeat_edges(tf: TensorFlow, image: Tensor, axis: int, counts: tuple[int, int]) -> Tensor:
    """Pads by repeating the outermost row or column, which every window that reaches into the padding contains anyway.

    Unlike padding with zeros it is exact for all values, and unlike padding with -inf it needs only operations that
    XNNPACK supports.
    """
    before, after = counts
    if not before and not after:
        return image
    sides = shape(image)
    size = [*sides[:axis], 1, *sides[axis + 1 :]]
    last = [0] * axis + [sides[axis] - 1] + [0] * (3 - axis)
    first_row, last_row = tf.slice(image, [0] * 4, size), tf.slice(image, last, size)
    return tf.concat([first_row] * before + [image] + [last_row] * after, axis=axis)


def _max_pool2d_with_indices(tf: TensorFlow, *arguments: Tensor) -> list[Tensor]:
    return [_max_pool2d(tf, *arguments)]


def _avg_pool2d(
    tf: TensorFlow,
    image: Tensor,
    kernel: list[int],
    stride: list[int],
    padding: list[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
) -> Tensor:
    kernels, strides, pads = pair(kernel), pair(stride or kernel), pair(padding)
    sides = shape(image)[1:3]
    counts = [
        _windows(side, k, step, pad, ceil_mode)
        for side, k, step, pad in zip(sides, kernels, strides, pads, strict=True)
    ]
    after = [
        max((count - 1) * step + k - side - pad, 0)
        for side, k, step, pad, count in zip(sides, kernels, strides, pads, counts, strict=True)
    ]
    if any(pads) or any(after):
        image = tf.pad(image, [(0, 0), *zip(pads, after, strict=True), (0, 0)])
    pooled = tf.nn.avg_pool2d(image, kernels, strides, "VALID")
    if divisor is not None:
        return pooled * np.float32(kernels[0] * kernels[1] / divisor)
    factors = [
        k / _divisors(side, k, step, pad, count, count_include_pad)
        for side, k, step, pad, count in zip(sides, kernels, strides, pads, counts, strict=True)
    ]
    correction = np.outer(*factors).astype(np.float32)
    return pooled if np.allclose(correction, 1) else pooled * correction[None, :, :, None]


def _divisors(side: int, kernel: int, stride: int, padding: int, count: int, include_pad: bool) -> NDArray[np.float64]:
    """Along one side, the number of pixels by which PyTorch divides the sum of each window, `(count,)`."""
    starts = np.arange(count) * stride - padding
    ends = np.minimum(starts + kernel, side + padding)
    if not include_pad:
        starts, ends = np.maximum(starts, 0), np.minimum(ends, side)
    return (ends - starts).astype(np.float64)


def _adaptive_pool(tf: TensorFlow, image: Tensor, size: list[int], pool: str) -> Tensor:
    """Pools to a fixed size: a reduction for 1x1, equal windows if the size divides that of the image."""
    sides, wanted = shape(image)[1:3], pair(size)
    if wanted == (1, 1):
        reduce = tf.reduce_mean if pool == "avg" else tf.reduce_max
        return reduce(image, axis=[1, 2], keepdims=True)
    if any(side % want for side, want in zip(sides, wanted, strict=True)):
        raise ValueError(f"adaptive pooling from {sides} to {list(wanted)}; use a size that divides the image's, or 1")
    windows = [side // want for side, want in zip(sides, wanted, strict=True)]
    return getattr(tf.nn, f"{pool}_pool2d")(image, windows, windows, "VALID")


def _adaptive_avg_pool2d(tf: TensorFlow, image: Tensor, size: list[int]) -> Tensor:
    return _adaptive_pool(tf, image, size, "avg")


def _adaptive_max_pool2d(tf: TensorFlow, image: Tensor, size: list[int]) -> list[Tensor]:
    return [_adaptive_pool(tf, image, size, "max")]


POOLING: Mapping[str, Callable[..., Any]] = {
    "aten.max_pool2d.default": _max_pool2d,
    "aten.max_pool2d_with_indices.default": _max_pool2d_with_indices,
    "aten.avg_pool2d.default": _avg_pool2d,
    "aten.adaptive_avg_pool2d.default": _adaptive_avg_pool2d,
    "aten._adaptive_avg_pool2d.default": _adaptive_avg_pool2d,
    "aten.adaptive_max_pool2d.default": _adaptive_max_pool2d,
}
