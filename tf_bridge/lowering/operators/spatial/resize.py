"""Resizing in TensorFlow, with PyTorch's convention for pixel centres. Images are NHWC."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.lowering.layout import in_channels_last, reshaped
from tf_bridge.lowering.operators.spatial.windows import along
from tf_bridge.lowering.values import Tensor, TensorFlow, Value, channels_last, value_of

Size = list[int] | None
Factors = list[float] | None


def _target(image: Value, size: Size, factors: Factors) -> list[int]:
    """Height and width of the result; a factor is rounded down, as in PyTorch."""
    if size is not None:
        return [int(side) for side in size]
    assert factors is not None
    return [int(side * factor) for side, factor in zip(image.shape[2:], factors, strict=True)]


def _is_whole(image: Value, wanted: list[int], factors: Factors) -> bool:
    """Whether sampling by the size, as TFLite does, is sampling by the factors, as PyTorch does."""
    sides = image.shape[2:]
    return factors is None or all(
        abs(side * factor - want) <= 1e-6 for side, factor, want in zip(sides, factors, wanted, strict=True)
    )


def _bilinear(tf: TensorFlow, image: Value, size: Size, align_corners: bool, factors: Factors) -> Value:
    wanted = _target(image, size, factors)
    if not align_corners and not _is_whole(image, wanted, factors):
        return _by_matrices("upsample_bilinear2d")(tf, image, size, align_corners, factors)
    resized = tf.raw_ops.ResizeBilinear(
        images=in_channels_last(tf, image).tensor,
        size=wanted,
        align_corners=align_corners,
        half_pixel_centers=not align_corners,
    )
    return value_of(resized, channels_last(4))


def _by_matrices(name: str) -> Callable[..., Value]:
    """A resize that TFLite does not have, as a product with a matrix for each side, which PyTorch itself computes."""

    def apply(tf: TensorFlow, image: Value, size: Size, align_corners: bool, factors: Factors) -> Value:
        import torch

        wanted = _target(image, size, factors)
        operator = getattr(torch.ops.aten, name).default
        tensor = in_channels_last(tf, image).tensor
        for axis, (side, want) in enumerate(zip(image.shape[2:], wanted, strict=True), start=1):
            factor = None if factors is None else factors[axis - 1]
            pixels = torch.eye(side)[None, None]  # every row holds one pixel
            matrix = operator(pixels, [side, want], align_corners, None, factor)[0, 0].T.numpy()
            if not np.array_equal(matrix, np.eye(side)):
                tensor = _times_matrix(tf, tensor, axis, matrix)
        return value_of(tensor, channels_last(4))

    return apply


def _times_matrix(tf: TensorFlow, image: Tensor, axis: int, matrix: NDArray[np.float32]) -> Tensor:
    """Mixes rows or columns of an NHWC tensor; matrix `(new side, side)`."""
    turned = tf.transpose(image, [0, 2, 3, 1] if axis == 1 else [0, 1, 3, 2])  # the side is last
    mixed = tf.raw_ops.Conv2D(input=turned, filter=matrix.T[None, None], strides=[1, 1, 1, 1], padding="VALID")
    return tf.transpose(mixed, [0, 3, 1, 2] if axis == 1 else [0, 1, 3, 2])


def _nearest(tf: TensorFlow, image: Value, size: Size, factors: Factors) -> Value:
    """Repeats pixels by concatenation for whole factors, because XNNPACK does not support nearest-neighbour resize."""
    wanted, sides = _target(image, size, factors), image.shape[2:]
    if not any(want % side for side, want in zip(sides, wanted, strict=True)) and _is_whole(image, wanted, factors):
        repeats = [want // side for side, want in zip(sides, wanted, strict=True)]
        return value_of(_repeated(tf, in_channels_last(tf, image).tensor, *repeats), channels_last(4))
    return _by_pixels("upsample_nearest1d")(tf, image, size, factors)


def _by_pixels(name: str) -> Callable[..., Value]:
    """Takes the pixels that PyTorch takes, row by row and column by column."""

    def apply(tf: TensorFlow, image: Value, size: Size, factors: Factors) -> Value:
        import torch

        operator, tensor = getattr(torch.ops.aten, name).default, in_channels_last(tf, image).tensor
        for axis, (side, want) in enumerate(zip(image.shape[2:], _target(image, size, factors), strict=True), start=1):
            factor = None if factors is None else factors[axis - 1]
            pixels = operator(torch.arange(side, dtype=torch.float32)[None, None], [want], factor)
            tensor = along(tf, tensor, axis, pixels.flatten().numpy().astype(np.int64))
        return value_of(tensor, channels_last(4))

    return apply


def _repeated(tf: TensorFlow, image: Tensor, rows: int, columns: int) -> Tensor:
    batch, height, width, channels = (int(side) for side in image.shape)
    if columns > 1:
        wide = tf.concat([image] * columns, axis=3)  # (B, H, W, columns C)
        image = tf.reshape(wide, [batch, height, width * columns, channels])
    if rows > 1:
        lines = tf.reshape(image, [batch, height, 1, width * columns * channels])
        tall = tf.concat([lines] * rows, axis=2)  # (B, H, rows, columns W C)
        image = tf.reshape(tall, [batch, height * rows, width * columns, channels])
    return image


def _of_row(function: Callable[..., Value]) -> Callable[..., Value]:
    """The resize of rows `(B, C, L)` as that of images of one row."""

    def apply(tf: TensorFlow, row: Value, size: Size, *arguments: Any) -> Value:
        *options, factors = arguments
        image = reshaped(tf, row, (*row.shape[:-1], 1, row.shape[-1]))
        wide = [None if each is None else [1, *each] for each in (size, factors)]
        result = function(tf, image, wide[0], *options, wide[1])
        return reshaped(tf, result, (*result.shape[:-2], result.shape[-1]))

    return apply


RESIZE: Mapping[str, Callable[..., Any]] = {
    "aten.upsample_bilinear2d.vec": _bilinear,
    "aten.upsample_linear1d.vec": _of_row(_bilinear),
    "aten.upsample_bicubic2d.vec": _by_matrices("upsample_bicubic2d"),
    "aten._upsample_bilinear2d_aa.vec": _by_matrices("_upsample_bilinear2d_aa"),
    "aten._upsample_bicubic2d_aa.vec": _by_matrices("_upsample_bicubic2d_aa"),
    "aten.upsample_nearest2d.vec": _nearest,
    "aten.upsample_nearest1d.vec": _of_row(_nearest),
    "aten._upsample_nearest_exact2d.vec": _by_pixels("_upsample_nearest_exact1d"),
    "aten._upsample_nearest_exact1d.vec": _of_row(_by_pixels("_upsample_nearest_exact1d")),
}
