"""The U-Net (arXiv:1505.04597) with padded convolutions, and its variants."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal, cast

from torch import Tensor, nn

from torchseg.models.blocks import AttentionGate, DoubleConv, Join, Up, Upsampling


class UNet(nn.Module):
    """Encoder with `depth` halvings, decoder with as many doublings, and skip connections between equal sizes.

    Level `i` has `base_width * 2 ** i` channels. Takes images `(B, C, H, W)` and returns logits `(B, K, H, W)`; H and W
    must be multiples of `stride`, which is `stem_stride * 2 ** depth`.

    Args:
        in_channels: C of the images.
        num_classes: K.
        base_width: channels of the finest level.
        depth: number of halvings.
        batch_norm: whether batch norm follows every 3x3 convolution.
        dropout: share of channels dropped after every block in training, in [0, 1).
        upsampling: bilinear or transposed, see `Up`.
        stem_stride: 2 halves the image in the first convolution, so that no layer works at full size; each pixel of
            the last features then gives the logits of 2x2 pixels. 1 keeps full size.
        attention: whether the skip connections pass attention gates.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        num_classes: int,
        base_width: int = 32,
        depth: int = 3,
        batch_norm: bool = True,
        dropout: float = 0.0,
        upsampling: Upsampling = "bilinear",
        stem_stride: Literal[1, 2] = 1,
        attention: bool = False,
    ) -> None:
        if base_width < 1 or depth < 1:
            raise ValueError(f"base_width is {base_width} and depth {depth}; both must be at least 1")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout is {dropout}; give a share in [0, 1), e.g. 0.1")
        super().__init__()
        widths = [base_width * 2**level for level in range(depth + 1)]
        block: dict[str, Any] = {"batch_norm": batch_norm, "dropout": dropout}
        self.stride = stem_stride * 2**depth
        self.stem = DoubleConv(in_channels, base_width, stride=stem_stride, **block)
        self.down = nn.ModuleList(
            nn.Sequential(nn.MaxPool2d(2), DoubleConv(narrow, wide, **block)) for narrow, wide in pairwise(widths)
        )
        decoder = list(reversed(widths[:-1]))
        self.up = nn.ModuleList(Up(2 * width, width, upsampling=upsampling) for width in decoder)
        self.gate = nn.ModuleList(AttentionGate(width, width) for width in decoder if attention)
        self.join = Join()
        self.decode = nn.ModuleList(DoubleConv(2 * width, width, **block) for width in decoder)
        # A transposed convolution with its stride as the kernel: for stride 1 the same as a 1x1 convolution.
        self.head: nn.Module = (
            nn.Conv2d(base_width, num_classes, 1)
            if stem_stride == 1
            else nn.ConvTranspose2d(base_width, num_classes, stem_stride, stride=stem_stride)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits `(B, K, H, W)`; raises ValueError if H or W is not a multiple of `stride`."""
        check_size(int(images.shape[2]), int(images.shape[3]), stride=self.stride)
        features = self.stem(images)
        skips = []
        for down in self.down:
            skips.append(features)
            features = down(features)
        for level, (up, decode) in enumerate(zip(self.up, self.decode, strict=True)):
            features, skip = up(features), skips.pop()
            if len(self.gate):
                skip = self.gate[level](skip, features)
            features = decode(self.join(skip, features))
        return cast(Tensor, self.head(features))


def check_size(height: int, width: int, *, stride: int) -> None:
    """Refuses image sizes that are not multiples of a network's stride.

    Args:
        height: in pixels.
        width: in pixels.
        stride: total downsampling factor of the network.

    Raises:
        ValueError: naming the nearest valid sizes.
    """
    if height % stride == 0 and width % stride == 0:
        return
    lower = [max(stride, side // stride * stride) for side in (height, width)]
    upper = [-(-side // stride) * stride for side in (height, width)]
    raise ValueError(
        f"image is {height}x{width}; both sides must divide by {stride}: "
        f"use {lower[0]}x{lower[1]} or {upper[0]}x{upper[1]}"
    )


def unet(in_channels: int, num_classes: int, **arguments: Any) -> UNet:
    """A plain U-Net."""
    return UNet(in_channels=in_channels, num_classes=num_classes, **arguments)


def attention_unet(in_channels: int, num_classes: int, **arguments: Any) -> UNet:
    """The default teacher: a U-Net whose skip connections pass additive attention gates (arXiv:1804.03999)."""
    return UNet(in_channels=in_channels, num_classes=num_classes, attention=True, **arguments)


def small_unet(in_channels: int, num_classes: int, *, base_width: int = 8, depth: int = 4, **arguments: Any) -> UNet:
    """Narrow and deep, for a large receptive field at 1/12 of the multiply-adds of `attention_unet`."""
    return UNet(in_channels=in_channels, num_classes=num_classes, base_width=base_width, depth=depth, **arguments)


def fast_unet(
    in_channels: int,
    num_classes: int,
    *,
    base_width: int = 16,
    depth: int = 3,
    stem_stride: Literal[1, 2] = 2,
    **arguments: Any,
) -> UNet:
    """The default student: no layer at full size, and none with fewer than 16 channels, as int8 kernels like it."""
    return UNet(
        in_channels=in_channels,
        num_classes=num_classes,
        base_width=base_width,
        depth=depth,
        stem_stride=stem_stride,
        **arguments,
    )


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
    """A U-Net of 16 to 256 channels with transposed convolutions; drops 10 % of the channels after every block."""
    return UNet(
        in_channels=in_channels,
        num_classes=num_classes,
        base_width=base_width,
        depth=depth,
        dropout=dropout,
        upsampling=upsampling,
        **arguments,
    )
