"""A weight seen as one row per output channel, whatever axis its layer keeps them on."""

from __future__ import annotations

from torch import Tensor, nn


def channel_rows(weight: Tensor, layer: nn.Module) -> Tensor:
    """`(C_out, N)` of a weight, whose N elements each make one output channel.

    Args:
        weight: of this layer, or anything of its shape; a transposed convolution has `(C_in, C_out / groups, H, W)`.
        layer: convolution, transposed convolution or linear.
    """
    if not isinstance(layer, nn.ConvTranspose2d):
        return weight.flatten(1)  # (C_out, C_in / groups * H * W)
    inputs, outputs = weight.shape[0] // layer.groups, weight.shape[1]
    grouped = weight.reshape(layer.groups, inputs, outputs, *weight.shape[2:]).transpose(1, 2)
    return grouped.reshape(layer.groups * outputs, -1)  # (C_out, C_in / groups * H * W)


def from_channel_rows(rows: Tensor, layer: nn.Module, shape: tuple[int, ...]) -> Tensor:
    """Undoes `channel_rows` for a weight of this shape."""
    if not isinstance(layer, nn.ConvTranspose2d):
        return rows.reshape(shape)
    grouped = rows.reshape(layer.groups, shape[1], shape[0] // layer.groups, *shape[2:])
    return grouped.transpose(1, 2).reshape(shape)
