"""Sampling, pooling and rearranging of pixels in published networks, each on maps of `CHANNELS` channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.special_blocks import CHANNELS, conv


class PyramidPooling(nn.Module):
    """PSPNet, arXiv:1612.01105: bins that do not divide the map."""

    def forward(self, x: Tensor) -> Tensor:
        pooled = (functional.adaptive_avg_pool2d(x, bins) for bins in (1, 2, 3, 6))
        grown = (functional.interpolate(each, size=x.shape[2:], mode="bilinear", align_corners=True) for each in pooled)
        return torch.cat([x, *grown], dim=1)


class StripPooling(nn.Module):
    """arXiv:2003.13328."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.columns = (
            nn.Conv2d(CHANNELS, CHANNELS, (3, 1), padding=(1, 0)),
            nn.Conv2d(CHANNELS, CHANNELS, (1, 3), padding=(0, 1)),
        )

    def forward(self, x: Tensor) -> Tensor:
        _, _, height, width = x.shape
        rows = self.rows(functional.adaptive_avg_pool2d(x, (None, 1))).expand(-1, -1, height, width)
        columns = functional.interpolate(self.columns(functional.adaptive_avg_pool2d(x, (1, None))), (height, width))
        return x * torch.sigmoid(rows + columns)


class PatchMerging(nn.Module):
    """Swin's halving of the map, arXiv:2103.14030."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.reduce = nn.LayerNorm(4 * CHANNELS), nn.Linear(4 * CHANNELS, 2 * CHANNELS, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = x.permute(0, 2, 3, 1)
        y = torch.cat([y[:, 0::2, 0::2], y[:, 1::2, 0::2], y[:, 0::2, 1::2], y[:, 1::2, 1::2]], dim=-1)
        return self.reduce(self.norm(y)).permute(0, 3, 1, 2)


class Focus(nn.Module):
    """YOLOv5's stem."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(channels=4 * CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        corners = [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]]
        return self.conv(torch.cat(corners, dim=1))


class Carafe(nn.Module):
    """Content-aware reassembly of features, arXiv:1905.02188: unfold and softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels = conv(4 * 9)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        kernels = functional.pixel_shuffle(self.kernels(x), 2).softmax(dim=1)  # (B, 9, 2H, 2W)
        patches = functional.unfold(x, 3, padding=1).view(batch, channels * 9, height, width)
        patches = functional.interpolate(patches, scale_factor=2, mode="nearest")
        patches = patches.view(batch, channels, 9, 2 * height, 2 * width)
        return (patches * kernels.unsqueeze(1)).sum(dim=2)


class DataDependentUpsampling(nn.Module):
    """DUpsampling, arXiv:1903.02120."""

    def __init__(self) -> None:
        super().__init__()
        self.grow = nn.Conv2d(CHANNELS, 4 * CHANNELS, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        y = self.grow(x).permute(0, 3, 2, 1).reshape(batch, width, height * 2, 2 * channels).permute(0, 2, 1, 3)
        return y.reshape(batch, height * 2, width * 2, channels).permute(0, 3, 1, 2)


class FlowAlignment(nn.Module):
    """SFNet's warp by a learnt flow, arXiv:2002.10120."""

    def __init__(self) -> None:
        super().__init__()
        self.flow = conv(2)

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        rows = torch.linspace(-1, 1, height).view(-1, 1).repeat(1, width)
        columns = torch.linspace(-1, 1, width).repeat(height, 1)
        grid = torch.cat((columns.unsqueeze(2), rows.unsqueeze(2)), 2).repeat(batch, 1, 1, 1).type_as(x)
        grid = grid + self.flow(x).permute(0, 2, 3, 1) / torch.tensor([[[[width, height]]]]).type_as(x)
        return functional.grid_sample(x, grid, align_corners=True)


class SpatialTransformer(nn.Module):
    """arXiv:1506.02025."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Linear(CHANNELS, 6)

    def forward(self, x: Tensor) -> Tensor:
        theta = self.theta(x.mean(dim=(2, 3))).view(-1, 2, 3)
        grid = functional.affine_grid(theta, list(x.size()), align_corners=False)
        return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


class CoordConv(nn.Module):
    """arXiv:1807.03247."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(channels=CHANNELS + 2)

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        rows = (
            torch.arange(height, dtype=x.dtype, device=x.device).view(1, 1, height, 1).expand(batch, 1, height, width)
        )
        columns = torch.linspace(-1, 1, width).view(1, 1, 1, width).expand(batch, 1, height, width)
        return self.conv(torch.cat([x, rows / height, columns], dim=1))


class BlurPool(nn.Module):
    """Anti-aliased striding, arXiv:1904.11486."""

    def __init__(self) -> None:
        super().__init__()
        row = torch.tensor([1.0, 2.0, 1.0])
        self.register_buffer("kernel", (row[:, None] * row / 16).repeat(CHANNELS, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        padded = functional.pad(x, (1, 1, 1, 1), mode="reflect")
        return functional.conv2d(padded, self.kernel, stride=2, groups=x.shape[1])


class Unpooling(nn.Module):
    """SegNet, arXiv:1511.00561."""

    def forward(self, x: Tensor) -> Tensor:
        pooled, indices = functional.max_pool2d(x, 2, return_indices=True)
        return functional.max_unpool2d(pooled.tanh(), indices, 2)


class PositionEmbedding(nn.Module):
    """A learnt embedding of every token, resized to the map."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(1, 6 * 6, CHANNELS))

    def forward(self, x: Tensor) -> Tensor:
        square = self.embedding.reshape(1, 6, 6, -1).permute(0, 3, 1, 2)
        resized = functional.interpolate(square, size=x.shape[2:], mode="bicubic", align_corners=False)
        return (x.flatten(2).transpose(1, 2) + resized.flatten(2).transpose(1, 2)).transpose(1, 2).view(x.shape)


class Haar(nn.Module):
    """Haar wavelets in place of a strided convolution."""

    def forward(self, x: Tensor) -> Tensor:
        even, odd = x[:, :, 0::2, :] / 2, x[:, :, 1::2, :] / 2
        a, b, c, d = even[..., 0::2], odd[..., 0::2], even[..., 1::2], odd[..., 1::2]
        return torch.cat((a + b + c + d, -a - b + c + d, -a + b - c + d, a - b - c + d), dim=1)


class SoftPool(nn.Module):
    """arXiv:2101.00440."""

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.exp(torch.sum(x, dim=1, keepdim=True) / CHANNELS)
        return functional.avg_pool2d(x * weights, 2) * 4 / (functional.avg_pool2d(weights, 2) * 4)


class UnfoldedConvolution(nn.Module):
    """A convolution as a product with unfolded patches, and folded again."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(CHANNELS, CHANNELS * 9) / 9)

    def forward(self, x: Tensor) -> Tensor:
        columns = self.weight @ functional.unfold(x, 3, padding=1)  # (B, C, HW)
        return functional.fold(columns, x.shape[-2:], 1)
