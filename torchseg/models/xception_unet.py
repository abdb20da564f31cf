"""A residual encoder-decoder without skip connections: separable convolutions down, transposed ones up."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from torchseg.models.unet import check_size


class XceptionUNet(nn.Module):
    """Strided stem, `depth` residual halvings by separable convolutions, and `depth + 1` residual doublings.

    The separable blocks are those of Xception (arXiv:1610.02357). Level `i` has `base_width * 2 ** i` channels. Only
    the coarsest features pass from the encoder to the decoder. Takes images `(B, C, H, W)` and returns logits
    `(B, K, H, W)`.

    Args:
        in_channels: C of the images.
        num_classes: K.
        base_width: channels of the stem.
        depth: halvings after the stem's own; H and W must be multiples of `stride`, which is `2 ** (depth + 1)`.
        batch_norm: whether batch norm follows every convolution of a block.
    """

    def __init__(
        self, *, in_channels: int, num_classes: int, base_width: int = 32, depth: int = 3, batch_norm: bool = True
    ) -> None:
        if base_width < 1 or depth < 1:
            raise ValueError(f"base_width is {base_width} and depth {depth}; both must be at least 1")
        super().__init__()
        widths = [base_width * 2**level for level in range(depth + 1)]
        self.stride = 2 ** (depth + 1)
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, base_width, 3, stride=2, padding=1, bias=not batch_norm),
            *_norm(base_width, batch_norm=batch_norm),
            nn.ReLU(inplace=True),
        )
        self.down = nn.ModuleList(_Down(narrow, wide, batch_norm=batch_norm) for narrow, wide in pairwise(widths))
        decoder = [widths[-1], *reversed(widths)]
        self.up = nn.ModuleList(_Up(wide, narrow, batch_norm=batch_norm) for wide, narrow in pairwise(decoder))
        self.head = nn.Conv2d(base_width, num_classes, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits `(B, K, H, W)`; raises ValueError if H or W is not a multiple of `stride`."""
        check_size(int(images.shape[2]), int(images.shape[3]), stride=self.stride)
        features = self.stem(images)
        for block in (*self.down, *self.up):
            features = block(features)
        return cast(Tensor, self.head(features))


class _Down(nn.Module):
    """Divides height and width by two: two separable convolutions and a max-pool, plus a strided 1x1 shortcut."""

    def __init__(self, in_channels: int, out_channels: int, *, batch_norm: bool) -> None:
        super().__init__()
        self.body = nn.Sequential()
        for channels in (in_channels, out_channels):
            self.body.extend(
                [
                    nn.ReLU(),  # not in place: the shortcut reads the same features
                    nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
                    nn.Conv2d(channels, out_channels, 1, bias=not batch_norm),
                    *_norm(out_channels, batch_norm=batch_norm),
                ]
            )
        self.body.append(nn.MaxPool2d(3, stride=2, padding=1))
        self.shortcut = _EverySecondPixel(in_channels, out_channels, 1, stride=2)

    def forward(self, features: Tensor) -> Tensor:
        return cast(Tensor, self.body(features) + self.shortcut(features))


class _EverySecondPixel(nn.Conv2d):
    """A strided 1x1 convolution that subsamples its input first whenever gradients are enabled.

    In PyTorch 2.13, the backward pass of a strided 1x1 convolution corrupts memory with AVX-512, channels_last and at
    most 12 input channels.
    """

    def forward(self, features: Tensor) -> Tensor:
        if not torch.is_grad_enabled() or torch.compiler.is_exporting():
            return super().forward(features)
        return functional.conv2d(features[:, :, ::2, ::2], self.weight, self.bias)


class _Up(nn.Module):
    """Doubles height and width: two transposed convolutions plus a 1x1 shortcut, then nearest-neighbour upsampling.

    The published network upsamples both branches before it adds them; adding first gives the same result with a quarter
    of the work in the shortcut.
    """

    def __init__(self, in_channels: int, out_channels: int, *, batch_norm: bool) -> None:
        super().__init__()
        self.body = nn.Sequential()
        for channels in (in_channels, out_channels):
            self.body.extend(
                [
                    nn.ReLU(),
                    nn.ConvTranspose2d(channels, out_channels, 3, padding=1, bias=not batch_norm),
                    *_norm(out_channels, batch_norm=batch_norm),
                ]
            )
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        return functional.interpolate(self.body(features) + self.shortcut(features), scale_factor=2.0, mode="nearest")


def _norm(channels: int, *, batch_norm: bool) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels)] if batch_norm else []


def xception_unet(in_channels: int, num_classes: int, **arguments: Any) -> XceptionUNet:
    """A residual encoder-decoder with 32 to 256 channels by default."""
    return XceptionUNet(in_channels=in_channels, num_classes=num_classes, **arguments)
