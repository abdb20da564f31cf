"""The small U-Net of many tutorials: five levels from 16 channels, transposed convolutions, dropout."""

from __future__ import annotations

from typing import Any

from torchseg.models.unet import UNet


def multi_unet(in_channels: int, num_classes: int, **arguments: Any) -> UNet:
    """A U-Net of widths 16 to 256 that drops a tenth of the channels behind every block while it learns."""
    defaults: dict[str, Any] = {"base_width": 16, "depth": 4, "dropout": 0.1, "upsampling": "transposed"}
    return UNet(in_channels=in_channels, num_classes=num_classes, **(defaults | arguments))
