"""Resizing in TensorFlow, with PyTorch's convention for pixel centres. Images are NHWC."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tf_bridge.lowering.values import Tensor, TensorFlow, shape


def _target(image: Tensor, size: list[int] | None, factors: list[float] | None) -> list[int]:
    """Height and width of the result.

    Raises:
        ValueError: if a factor does not give a whole size; PyTorch would then sample by the factor, TFLite by the size.
    """
    sides = shape(image)[1:3]
    if size is not None:
        return [int(side) for side in size]
    assert factors is not None
    wanted = [int(side * factor) for side, factor in zip(sides, factors, strict=True)]
    if any(abs(side * factor - want) > 1e-6 for side, factor, want in zip(sides, factors, wanted, strict=True)):
        raise ValueError(
            f"a resize of {sides} by {factors}, which is no whole size; pass size= or recompute_scale_factor=True"
        )
    return wanted


def _bilinear(
    tf: TensorFlow, image: Tensor, size: list[int] | None, align_corners: bool, factors: list[float] | None
) -> Tensor:
    return tf.raw_ops.ResizeBilinear(
        images=image,
        size=_target(image, size, factors),
        align_corners=align_corners,
        half_pixel_centers=not align_corners,
    )


def _nearest(tf: TensorFlow, image: Tensor, size: list[int] | None, factors: list[float] | None) -> Tensor:
    """Repeats pixels by concatenation for whole factors, because XNNPACK does not support nearest-neighbour resize."""
    wanted, sides = _target(image, size, factors), shape(image)[1:3]
    if any(want % side for side, want in zip(sides, wanted, strict=True)):
        # Without half-pixel centres and aligned corners, pixel i comes from floor(i * in / out), as in PyTorch.
        return tf.raw_ops.ResizeNearestNeighbor(
            images=image, size=wanted, align_corners=False, half_pixel_centers=False
        )
    batch, height, width, channels = shape(image)
    rows, columns = (want // side for side, want in zip(sides, wanted, strict=True))
    if columns > 1:
        wide = tf.concat([image] * columns, axis=3)  # (B, H, W, columns C)
        image = tf.reshape(wide, [batch, height, width * columns, channels])
    if rows > 1:
        lines = tf.reshape(image, [batch, height, 1, width * columns * channels])
        tall = tf.concat([lines] * rows, axis=2)  # (B, H, rows, columns W C)
        image = tf.reshape(tall, [batch, height * rows, width * columns, channels])
    return image


RESIZE: Mapping[str, Callable[..., Any]] = {
    "aten.upsample_bilinear2d.vec": _bilinear,
    "aten.upsample_nearest2d.vec": _nearest,
}
