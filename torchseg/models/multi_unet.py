"""The small U-Net of many tutorials: five levels from 16 channels, transposed convolutions, dropout."""

from __future__ import annotations

from typing import Any

from torchseg.models.blocks import Upsampling
from torchseg.models.unet import UNet


def multi_unet(
    in_channels: int,
    num_classes: int,
    *,
    base_width: int = 16,
    depth: int = 4,
    dropout: float = 0.1,
    upsampling: Upsampling = "transposed",
    **arguments: Any,
) -> UNet:
    """A U-Net of widths 16 to 256 that drops a tenth of the channels behind every block while it learns."""
    return UNet(
        in_channels=in_channels,
        num_classes=num_classes,
        base_width=base_width,
        depth=depth,
        dropout=dropout,
        upsampling=upsampling,
        **arguments,
    )
