"""Building blocks of the U-Nets. All tensors are `(B, C, H, W)`."""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

Upsampling = Literal["bilinear", "transposed"]


class DoubleConv(nn.Sequential):
    """Two 3x3 convolutions, each followed by batch norm (optional) and ReLU. Source: arXiv:1505.04597, figure 1.

    `(B, in_channels, H, W)` becomes `(B, out_channels, H / stride, W / stride)`; the first convolution has the stride.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        batch_norm: bool = True,
        dropout: float = 0.0,
    ) -> None:
        layers: list[nn.Module] = []
        for channels, step in ((in_channels, stride), (out_channels, 1)):
            # Batch norm subtracts the mean, and with it any bias of the convolution before it.
            layers.append(nn.Conv2d(channels, out_channels, 3, stride=step, padding=1, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm2d(out_channels))
            layers.append(nn.ReLU(inplace=True))
        if dropout:
            layers.append(nn.Dropout2d(dropout))
        super().__init__(*layers)


class Up(nn.Module):
    """Doubles height and width: `(B, in_channels, H, W)` becomes `(B, out_channels, 2 H, 2 W)`.

    `bilinear` first reduces the channels with a 1x1 convolution, at a quarter of the pixels, and then interpolates with
    half-pixel centres (`align_corners=False`), the only convention that all runtimes support. `transposed` learns a 2x2
    kernel.
    """

    def __init__(self, in_channels: int, out_channels: int, *, upsampling: Upsampling = "bilinear") -> None:
        super().__init__()
        self.upsampling = upsampling
        self.project: nn.Module = (
            nn.Conv2d(in_channels, out_channels, 1)
            if upsampling == "bilinear"
            else nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Upsamples features `(B, in_channels, H, W)` to `(B, out_channels, 2 H, 2 W)`."""
        projected = cast(Tensor, self.project(features))
        if self.upsampling == "transposed":
            return projected  # (B, out_channels, 2 H, 2 W)
        return enlarged(projected, 2)


class Join(nn.Module):
    """Concatenates a skip connection with the upsampled features of the level below, along the channels."""

    def forward(self, skip: Tensor, features: Tensor) -> Tensor:
        """`(B, C1, H, W)` and `(B, C2, H, W)` give `(B, C1 + C2, H, W)`."""
        return torch.cat([skip, features], dim=1)


class AttentionGate(nn.Module):
    """Scales a skip connection per pixel by additive attention from the decoder. Source: arXiv:1804.03999, figure 2.

    Both inputs have the same height and width: the gate comes after the upsampling, so it does not resample anything.
    """

    def __init__(self, skip_channels: int, signal_channels: int) -> None:
        super().__init__()
        hidden = max(1, skip_channels // 2)
        self.skip = nn.Conv2d(skip_channels, hidden, 1)
        self.signal = nn.Conv2d(signal_channels, hidden, 1)
        self.weight = nn.Conv2d(hidden, 1, 1)

    def forward(self, skip: Tensor, signal: Tensor) -> Tensor:
        """`(B, skip_channels, H, W)` and `(B, signal_channels, H, W)` give `(B, skip_channels, H, W)`."""
        weight = torch.sigmoid(self.weight(functional.relu(self.skip(skip) + self.signal(signal))))  # (B, 1, H, W)
        return skip * weight


class ChannelAttention(nn.Module):
    """Scales each channel by attention from its average and its maximum. Source: arXiv:1807.06521, section 3.1.

    Args:
        channels: C of the input and output, `(B, C, H, W)`.
        reduction: the hidden layer of the shared two-layer network has `channels / reduction` channels.
    """

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.narrow = nn.Conv2d(channels, hidden, 1)
        self.widen = nn.Conv2d(hidden, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Scales each channel of features `(B, C, H, W)` by a weight in (0, 1)."""
        pooled = features.mean((2, 3), keepdim=True), features.amax((2, 3), keepdim=True)  # (B, C, 1, 1) each
        average, maximum = (self.widen(functional.relu(self.narrow(each))) for each in pooled)
        return features * torch.sigmoid(average + maximum)


def enlarged(tensor: Tensor, factor: int) -> Tensor:
    """`(B, C, H, W)` as `(B, C, factor H, factor W)`, bilinear with half-pixel centres as in `Up`; with 1 as it is."""
    if factor == 1:
        return tensor
    return functional.interpolate(tensor, scale_factor=float(factor), mode="bilinear", align_corners=False)
