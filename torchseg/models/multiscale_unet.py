"""A U-Net whose decoder levels read all encoder levels, after MACU-Net (arXiv:2007.13083), and a small student."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from torchseg.models.blocks import ChannelAttention
from torchseg.models.branched_conv import BranchedConv
from torchseg.models.unet import check_size

Layers = Literal["branched", "plain", "depthwise"]


class MultiscaleUNet(nn.Module):
    """U-Net in which each decoder level joins the features of all encoder levels by channel attention.

    Takes images `(B, in_channels, H, W)` and returns logits `(B, K, H, W)`. The encoder halves the size `depth` times;
    level `i` has `base_width * 2 ** i` channels. For a decoder level, finer encoder levels are max-pooled to its size,
    and coarser ones are upsampled by transposed convolutions that halve the channels at every doubling of the size.

    Args:
        in_channels: channels of the images.
        num_classes: K.
        base_width: channels of the finest level.
        depth: number of halvings; H and W must be multiples of `stride`, which is `2 ** depth`.
        batch_norm: whether batch norm follows every convolution of a block.
        layers: layers of a block: two `branched` convolutions, the two `plain` ones that these fold into, or one
            `depthwise` convolution followed by a 1x1.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        num_classes: int,
        base_width: int = 16,
        depth: int = 4,
        batch_norm: bool = True,
        layers: Layers = "branched",
    ) -> None:
        if base_width < 1 or depth < 1:
            raise ValueError(f"base_width is {base_width} and depth {depth}; both must be at least 1")
        if layers not in get_args(Layers):
            raise ValueError(f"layers is '{layers}'; choose from {', '.join(get_args(Layers))}")
        super().__init__()
        widths = [base_width * 2**level for level in range(depth + 1)]
        kind: dict[str, Any] = {"batch_norm": batch_norm, "layers": layers}
        self.stride = 2**depth
        # A depthwise convolution over three colour channels would extract too few features.
        self.stem = _block(in_channels, base_width, batch_norm=batch_norm, layers=_of_stem(layers))
        self.encode = nn.ModuleList(_block(narrow, wide, **kind) for narrow, wide in pairwise(widths))
        self.climb = nn.ModuleList(_Climb(widths[: level + 1]) for level in range(1, depth + 1))
        self.up = nn.ModuleList(nn.ConvTranspose2d(wide, narrow, 2, stride=2) for narrow, wide in pairwise(widths[:-1]))
        joined = [sum(widths[: level + 1]) + (depth - level) * widths[level] for level in range(depth)]
        joined = [total + (widths[level] if level < depth - 1 else 0) for level, total in enumerate(joined)]
        self.attend = nn.ModuleList(ChannelAttention(total) for total in joined)
        self.decode = nn.ModuleList(
            _block(total, width, **kind) for total, width in zip(joined, widths[:-1], strict=True)
        )
        self.head = nn.Conv2d(base_width, num_classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits `(B, K, H, W)`; raises ValueError if H or W is not a multiple of `stride`."""
        check_size(int(images.shape[2]), int(images.shape[3]), stride=self.stride)
        scales = [self.stem(images)]  # finest first
        for encode in self.encode:
            scales.append(encode(functional.max_pool2d(scales[-1], 2)))
        climbed = [climb(scale) for climb, scale in zip(self.climb, scales[1:], strict=True)]
        features: Tensor | None = None
        for level in reversed(range(len(self.decode))):
            parts = [functional.max_pool2d(scales[finer], 2 ** (level - finer)) for finer in range(level)]
            parts += [scales[level], *(each[level] for each in climbed[level:])]
            if features is not None:
                parts.append(self.up[level](features))
            features = self.decode[level](self.attend[level](torch.cat(parts, dim=1)))
        return cast(Tensor, self.head(features))


class _Climb(nn.Module):
    """Upsamples one encoder level to the size of every finer level, by repeated doubling."""

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.steps = nn.ModuleList(nn.ConvTranspose2d(wide, narrow, 2, stride=2) for narrow, wide in pairwise(widths))

    def forward(self, features: Tensor) -> list[Tensor]:
        """Turns `(B, widths[n], H, W)` into n tensors, finest first: `(B, widths[i], 2**(n - i) H, 2**(n - i) W)`."""
        results = [features]
        for step in reversed(self.steps):
            results.insert(0, step(results[0]))
        return results[:-1]


def _of_stem(layers: Layers) -> Layers:
    return "plain" if layers == "depthwise" else layers


def _block(in_channels: int, out_channels: int, *, batch_norm: bool, layers: Layers) -> nn.Sequential:
    """Convolutions, each followed by batch norm (optional) and ReLU; keeps height and width."""
    bias = not batch_norm  # batch norm would subtract it
    convolutions: list[nn.Module]
    if layers == "depthwise":
        convolutions = [
            nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=bias),
            nn.Conv2d(in_channels, out_channels, 1, bias=bias),
        ]
    elif layers == "branched":
        convolutions = [BranchedConv(width, out_channels, bias=bias) for width in (in_channels, out_channels)]
    else:
        convolutions = [
            nn.Conv2d(width, out_channels, 3, padding=1, bias=bias) for width in (in_channels, out_channels)
        ]
    block = nn.Sequential()
    for convolution in convolutions:
        block.append(convolution)
        if batch_norm:
            channels = convolution.square.out_channels if isinstance(convolution, BranchedConv) else None
            block.append(nn.BatchNorm2d(channels or cast(nn.Conv2d, convolution).out_channels))
        block.append(nn.ReLU(inplace=True))
    return block


def multiscale_unet(in_channels: int, num_classes: int, **arguments: Any) -> MultiscaleUNet:
    """Five levels of 16 to 256 channels, with branched convolutions."""
    return MultiscaleUNet(in_channels=in_channels, num_classes=num_classes, **arguments)


def multiscale_student(
    in_channels: int, num_classes: int, *, base_width: int = 8, layers: Layers = "depthwise", **arguments: Any
) -> MultiscaleUNet:
    """A small student: half the widths, and one depthwise convolution with a 1x1 per block."""
    return MultiscaleUNet(
        in_channels=in_channels, num_classes=num_classes, base_width=base_width, layers=layers, **arguments
    )
