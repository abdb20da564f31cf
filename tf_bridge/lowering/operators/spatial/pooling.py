"""Pooling in TensorFlow, with PyTorch's padding rules. Images are NHWC."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.lowering.layout import in_channels_last, reshaped
from tf_bridge.lowering.operators.spatial.windows import along, largest_in_windows, places_of_largest
from tf_bridge.lowering.values import Tensor, TensorFlow, Value, channels_last, pair, value_of

_FEW = 16  # up to this number of windows along a side, each is a slice of its own


@dataclass(frozen=True)
class PooledPlaces(Value):
    """Places of the largest pixels, `h * W + w` in the image that was pooled, by windows that do not overlap."""

    image: tuple[int, int] = (0, 0)  # height and width
    windows: tuple[int, int] = (0, 0)


def _on_image(function: Callable[..., Tensor]) -> Callable[..., Value]:
    """A pooling of values from one of NHWC tensors. An image without a batch gets one meanwhile."""

    def apply(tf: TensorFlow, image: Value, *arguments: Any) -> Value:
        batched = image if image.rank == 4 else reshaped(tf, image, (1, *image.shape))
        result = value_of(function(tf, in_channels_last(tf, batched).tensor, *arguments), channels_last(4))
        return result if image.rank == 4 else reshaped(tf, result, result.shape[1:])

    return apply


def _on_row(name: str) -> Callable[..., Any]:
    """The pooling of rows `(B, C, L)` as that of images of one row."""

    def apply(tf: TensorFlow, row: Value, *arguments: Any) -> Any:
        image = reshaped(tf, row, (*row.shape[:-1], 1, row.shape[-1]))
        lists = {0: 1, 1: 1, 2: 0} | ({3: 1} if name == "max_pool2d" else {})
        wide = [
            [lists[index], each[0]] if isinstance(each, list) and each else each for index, each in enumerate(arguments)
        ]
        result = POOLING[f"aten.{name}.default"](tf, image, *wide)
        return reshaped(tf, result, (*result.shape[:-2], result.shape[-1]))

    return apply


def _windows(side: int, reach: int, stride: int, padding: int, ceil_mode: bool) -> int:
    """Number of outputs along one side, as PyTorch counts them; `reach` is the length of a window."""
    span = side + 2 * padding - reach
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
    kernels, strides, steps = pair(kernel), pair(stride or kernel), pair(dilation)
    if steps != (1, 1):
        windows = _pixels(_sides(image), (kernels, strides, pair(padding), steps), ceil_mode)
        return largest_in_windows(tf, image, *windows)
    for axis, (k, step, pad) in enumerate(zip(kernels, strides, pair(padding), strict=True), start=1):
        side = int(image.shape[axis])
        after = (_windows(side, k, step, pad, ceil_mode) - 1) * step + k - side - pad
        image = _repeat_edges(tf, image, axis, (pad, max(after, 0)))
    return tf.nn.max_pool2d(image, kernels, strides, "VALID")


def _pixels(sides: list[int], geometry: tuple[tuple[int, int], ...], ceil_mode: bool) -> list[list[NDArray[np.int64]]]:
    """Along each side, the pixels of every window that lie inside the image."""
    found = []
    for side, k, stride, pad, step in zip(sides, *geometry, strict=True):
        count = _windows(side, step * (k - 1) + 1, stride, pad, ceil_mode)
        reaches = (np.arange(k) * step - pad + index * stride for index in range(count))
        found.append([reach[(reach >= 0) & (reach < side)] for reach in reaches])
    return found


def _sides(image: Tensor) -> list[int]:
    """Height and width of an NHWC tensor."""
    return [int(side) for side in image.shape[1:3]]


def _repeat_edges(tf: TensorFlow, image: Tensor, axis: int, counts: tuple[int, int]) -> Tensor:
    """Pads by repeating the outermost row or column, which every window that reaches into the padding contains anyway.

    Unlike padding with zeros it is exact for all values, and unlike padding with -inf it needs only operations that
    XNNPACK supports.
    """
    before, after = counts
    if not before and not after:
        return image
    sides = [int(side) for side in image.shape]
    size = [*sides[:axis], 1, *sides[axis + 1 :]]
    last = [0] * axis + [sides[axis] - 1] + [0] * (3 - axis)
    first_row, last_row = tf.slice(image, [0] * 4, size), tf.slice(image, last, size)
    return tf.concat([first_row] * before + [image] + [last_row] * after, axis=axis)


def _max_pool2d_with_indices(tf: TensorFlow, image: Value, kernel: list[int], *arguments: Any) -> list[Any]:
    def places() -> Value:
        if image.rank != 4:
            raise ValueError(f"places of the largest pixels of {image.rank} dimensions; give a batch of images")
        stride, padding, dilation, ceil_mode = arguments
        nhwc, sides = in_channels_last(tf, image), list(image.shape[2:])
        kernels, strides, pads = pair(kernel), pair(stride or kernel), pair(padding)
        windows = _pixels(sides, (kernels, strides, pads, pair(dilation)), ceil_mode)
        found = value_of(places_of_largest(tf, nhwc.tensor, *windows), channels_last(4))
        if kernels != strides or pads != (0, 0) or pair(dilation) != (1, 1):
            return found
        return PooledPlaces(found.tensor, found.order, found.shape, (sides[0], sides[1]), kernels)

    return [_on_image(_max_pool2d)(tf, image, kernel, *arguments), places]


def _max_unpool2d(tf: TensorFlow, pooled: Value, places: Value, size: list[int]) -> Value:
    """Every pixel of the larger image looks at the window that it belongs to, whether it was the largest there."""
    if not isinstance(places, PooledPlaces) or tuple(size) != places.image:
        raise ValueError("unpooling of windows that overlap or are padded; use a kernel as large as its stride")
    rows, columns = (np.arange(side) // window for side, window in zip(size, places.windows, strict=True))
    counts = [int(side) for side in pooled.shape[2:]]
    small = [in_channels_last(tf, each).tensor for each in (pooled, places)]
    grown = [
        along(tf, along(tf, each, 1, np.minimum(rows, counts[0] - 1)), 2, np.minimum(columns, counts[1] - 1))
        for each in small
    ]
    own = np.arange(size[0] * size[1], dtype=np.int32).reshape(1, *size, 1)
    return value_of(tf.where(tf.equal(grown[1], own), grown[0], np.float32(0)), channels_last(4))


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
    sides = _sides(image)
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


def _avg_pool3d(
    tf: TensorFlow,
    value: Value,
    kernel: list[int],
    stride: list[int],
    padding: list[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
) -> Value:
    """Along each of the last three dimensions by itself; TFLite has no such pooling."""
    if any(padding) or ceil_mode or divisor is not None:
        raise ValueError(f"3-D average pooling with padding {padding}, ceil_mode or a divisor; pad before it instead")
    tensor = value.tensor
    for dim, (k, step) in enumerate(zip(kernel, stride or kernel, strict=True), start=value.rank - 3):
        starts = np.arange(0, value.shape[dim] - k + 1, step)
        taps = [along(tf, tensor, value.axis(dim), starts + index) for index in range(k)]
        tensor = reduce(tf.add, taps) * np.float32(1 / k) if k > 1 or step > 1 else tensor
    return value_of(tensor, value.order)


def _divisors(side: int, kernel: int, stride: int, padding: int, count: int, include_pad: bool) -> NDArray[np.float64]:
    """Along one side, the number of pixels by which PyTorch divides the sum of each window, `(count,)`."""
    starts = np.arange(count) * stride - padding
    ends = np.minimum(starts + kernel, side + padding)
    if not include_pad:
        starts, ends = np.maximum(starts, 0), np.minimum(ends, side)
    return (ends - starts).astype(np.float64)


def _adaptive_windows(side: int, count: int) -> list[NDArray[np.int64]]:
    """The pixels of every window, as PyTorch divides a side; neighbours overlap if the count does not divide it."""
    return [np.arange(index * side // count, -(-(index + 1) * side // count)) for index in range(count)]


def _adaptive_avg_pool2d(tf: TensorFlow, image: Tensor, size: list[int]) -> Tensor:
    """Pools to a fixed size: a reduction for 1x1, equal windows if the size divides the image, else one by one."""
    sides, wanted = _sides(image), pair(size)
    if wanted == (1, 1):
        return tf.reduce_mean(image, axis=[1, 2], keepdims=True)
    if any(side % want for side, want in zip(sides, wanted, strict=True)):
        for axis, (side, want) in enumerate(zip(sides, wanted, strict=True), start=1):
            image = _mean_of_windows(tf, image, axis, _adaptive_windows(side, want))
        return image
    windows = [side // want for side, want in zip(sides, wanted, strict=True)]
    return tf.nn.avg_pool2d(image, windows, windows, "VALID")


def _mean_of_windows(tf: TensorFlow, image: Tensor, axis: int, windows: list[NDArray[np.int64]]) -> Tensor:
    """The mean of each window along one axis. Windows have few lengths, so most are sums of shifted images."""
    longest = max(len(window) for window in windows)
    if len(windows) <= _FEW or longest > _FEW:
        parts = [tf.reduce_mean(along(tf, image, axis, window), axis=axis, keepdims=True) for window in windows]
        return tf.concat(parts, axis=axis)
    shares = np.array([[index < len(window) for index in range(longest)] for window in windows], np.float32)
    shares /= shares.sum(axis=1, keepdims=True)
    rank = [1] * 4
    rank[axis] = len(windows)
    steps = [np.array([window[min(index, len(window) - 1)] for window in windows]) for index in range(longest)]
    taps = [along(tf, image, axis, step) * shares[:, index].reshape(rank) for index, step in enumerate(steps)]
    return reduce(tf.add, taps)


def _adaptive_max_pool2d(tf: TensorFlow, image: Value, size: list[int]) -> list[Any]:
    sides, wanted = list(image.shape[-2:]), pair(size)
    windows = [_adaptive_windows(side, want) for side, want in zip(sides, wanted, strict=True)]

    def pool(tf: TensorFlow, tensor: Tensor) -> Tensor:
        if wanted == (1, 1):
            return tf.reduce_max(tensor, axis=[1, 2], keepdims=True)
        if any(side % want for side, want in zip(sides, wanted, strict=True)):
            return largest_in_windows(tf, tensor, *windows)
        kernel = [side // want for side, want in zip(sides, wanted, strict=True)]
        return tf.nn.max_pool2d(tensor, kernel, kernel, "VALID")

    def places() -> Value:
        return value_of(places_of_largest(tf, in_channels_last(tf, image).tensor, *windows), channels_last(4))

    return [_on_image(pool)(tf, image), places]


POOLING: Mapping[str, Callable[..., Any]] = {
    "aten.max_pool2d.default": _on_image(_max_pool2d),
    "aten.max_pool1d.default": _on_row("max_pool2d"),
    "aten.max_pool2d_with_indices.default": _max_pool2d_with_indices,
    "aten.max_unpool2d.default": _max_unpool2d,
    "aten.avg_pool2d.default": _on_image(_avg_pool2d),
    "aten.avg_pool1d.default": lambda tf, row, *arguments: _on_row("avg_pool2d")(tf, row, *arguments, None),
    "aten.avg_pool3d.default": _avg_pool3d,
    "aten.adaptive_avg_pool2d.default": _on_image(_adaptive_avg_pool2d),
    "aten._adaptive_avg_pool2d.default": _on_image(_adaptive_avg_pool2d),
    "aten.adaptive_avg_pool1d.default": _on_row("adaptive_avg_pool2d"),
    "aten.adaptive_max_pool2d.default": _adaptive_max_pool2d,
}
