"""Small blocks of published segmentation networks, each on maps of `CHANNELS` channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = 8


def conv(
    out: int = CHANNELS, kernel: int = 3, *, groups: int = 1, dilation: int = 1, channels: int = CHANNELS
) -> nn.Conv2d:
    """A convolution that keeps the size of its map."""
    return nn.Conv2d(channels, out, kernel, padding=dilation * (kernel // 2), groups=groups, dilation=dilation)


class MixFfn(nn.Module):
    """SegFormer's feed-forward layers with a depthwise convolution, arXiv:2105.15203."""

    def __init__(self) -> None:
        super().__init__()
        self.grow, self.shrink, self.depthwise = (
            nn.Linear(CHANNELS, 16),
            nn.Linear(16, CHANNELS),
            nn.Conv2d(16, 16, 3, padding=1, groups=16),
        )

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        y = self.grow(x.flatten(2).transpose(1, 2)).transpose(1, 2).view(batch, -1, height, width)
        y = functional.gelu(self.depthwise(y).flatten(2).transpose(1, 2))
        return x + self.shrink(y).transpose(1, 2).reshape(batch, channels, height, width)


class ConvNext(nn.Module):
    """arXiv:2201.03545: layer norm and linear layers over the channels, with a scale per channel."""

    def __init__(self) -> None:
        super().__init__()
        self.depthwise, self.norm = conv(kernel=7, groups=CHANNELS), nn.LayerNorm(CHANNELS, eps=1e-6)
        self.grow, self.shrink = nn.Linear(CHANNELS, 4 * CHANNELS), nn.Linear(4 * CHANNELS, CHANNELS)
        self.gamma = nn.Parameter(torch.linspace(0.1, 1, CHANNELS))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + (self.gamma * self.shrink(functional.gelu(self.grow(y)))).permute(0, 3, 1, 2)


class GlobalResponseNorm(nn.Module):
    """ConvNeXt V2, arXiv:2301.00808."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma, self.beta = (
            nn.Parameter(torch.ones(1, 1, 1, CHANNELS)),
            nn.Parameter(torch.zeros(1, 1, 1, CHANNELS)),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = x.permute(0, 2, 3, 1)
        response = torch.norm(y, p=2, dim=(1, 2), keepdim=True)
        return (self.gamma * (y * (response / (response.mean(dim=-1, keepdim=True) + 1e-6))) + self.beta + y).permute(
            0, 3, 1, 2
        )


class ChannelsFirstNorm(nn.Module):
    """Layer norm over the channels of a map, written out as in ConvNeXt."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = (
            nn.Parameter(torch.linspace(0.5, 1, CHANNELS)),
            nn.Parameter(torch.linspace(-1, 1, CHANNELS)),
        )

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(1, keepdim=True)
        spread = (x - mean).pow(2).mean(1, keepdim=True)
        return self.weight[:, None, None] * ((x - mean) / torch.sqrt(spread + 1e-6)) + self.bias[:, None, None]


class Aspp(nn.Module):
    """Atrous spatial pyramid pooling, arXiv:1706.05587."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList([conv(4, 1), conv(4, dilation=2), conv(4, dilation=4)])
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv(4, 1))

    def forward(self, x: Tensor) -> Tensor:
        pooled = functional.interpolate(self.pooled(x), size=x.shape[-2:], mode="bilinear", align_corners=False)
        return torch.cat([*(branch(x) for branch in self.branches), pooled], dim=1)


class Ghost(nn.Module):
    """GhostModule, arXiv:1911.11907."""

    def __init__(self) -> None:
        super().__init__()
        self.primary, self.cheap = conv(5, 1), conv(5, groups=5, channels=5)

    def forward(self, x: Tensor) -> Tensor:
        first = functional.relu(self.primary(x))
        return torch.cat([first, functional.relu(self.cheap(first))], dim=1)[:, :CHANNELS, :, :]


class ChannelsLast(nn.Module):
    """A layer for `(B, H, W, C)`."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Tokens(nn.Module):
    """A layer for `(B, C, HW)`."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(2)).view(x.shape)


class Residual(nn.Module):
    """What a layer changes."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) - x


class WeightStandardised(nn.Module):
    """arXiv:1903.10520."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv()

    def forward(self, x: Tensor) -> Tensor:
        weight = self.conv.weight
        mean = weight.mean(dim=(1, 2, 3), keepdim=True)
        weight = (weight - mean) / (weight.view(CHANNELS, -1).std(dim=1).view(-1, 1, 1, 1) + 1e-5)
        return functional.conv2d(x, weight, self.conv.bias, padding=1)


class Mixer(nn.Module):
    """MLP-Mixer's mixing of tokens, arXiv:2105.01601."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.mix = nn.LayerNorm(CHANNELS), nn.Linear(16 * 24, 16 * 24)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(x.flatten(2).transpose(1, 2))
        return x + functional.gelu(self.mix(tokens.transpose(1, 2))).view_as(x)


class LayerScale(nn.Module):
    """CaiT's scale of a branch, arXiv:2103.17239."""

    def __init__(self) -> None:
        super().__init__()
        self.branch, self.gamma = conv(), nn.Parameter(torch.linspace(0.1, 1, CHANNELS))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gamma.view(1, -1, 1, 1) * self.branch(x)


class DynamicConvolution(nn.Module):
    """A mixture of kernels, weighted by the image, arXiv:1912.03458; the maps are mixed instead of the kernels."""

    def __init__(self) -> None:
        super().__init__()
        self.choose, self.kernels = nn.Linear(CHANNELS, 3), conv(3 * CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        weights = self.choose(x.mean((-2, -1))).softmax(-1)  # (B, 3)
        maps = self.kernels(x).unflatten(1, (3, CHANNELS))  # (B, 3, C, H, W)
        return torch.einsum("bk,bkchw->bchw", weights, maps)


class SelectiveKernel(nn.Module):
    """SKNet, arXiv:1903.06586: a softmax over the branches."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList([conv(), conv(dilation=2)])
        self.choose = nn.ModuleList([nn.Linear(CHANNELS, CHANNELS) for _ in range(2)])

    def forward(self, x: Tensor) -> Tensor:
        maps = torch.stack([branch(x) for branch in self.branches], dim=1)  # (B, 2, C, H, W)
        pooled = maps.sum(dim=1).mean(-1).mean(-1)  # (B, C)
        weights = torch.stack([choose(pooled) for choose in self.choose], dim=1).softmax(dim=1)
        return (maps * weights.unsqueeze(-1).unsqueeze(-1)).sum(dim=1)


class AttentionGate(nn.Module):
    """Attention U-Net's gate with a signal from a coarser level, arXiv:1804.03999."""

    def __init__(self) -> None:
        super().__init__()
        self.theta, self.phi, self.psi = nn.Conv2d(CHANNELS, 4, 2, 2, bias=False), conv(4, 1), nn.Conv2d(4, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        coarse = self.phi(functional.max_pool2d(x, 4))
        theta = self.theta(x)
        gate = functional.relu(theta + functional.interpolate(coarse, size=theta.shape[2:], mode="bilinear"))
        return x * functional.interpolate(torch.sigmoid(self.psi(gate)), size=x.shape[2:], mode="bilinear")


def written_into_a_part(x: Tensor) -> Tensor:
    padded = torch.zeros(*x.shape[:2], x.shape[2] + 3, x.shape[3] + 1)
    padded[:, :, 2:-1, :-1] = x[:]
    return padded[:, :, : x.shape[2], : x.shape[3]] + x


def written_into_one_channel(x: Tensor) -> Tensor:
    changed = x.clone()
    changed[:, 1] = x[:, 0] * 2
    changed[:, -1] = 0.5
    changed[:, 2].fill_(1.5)
    return changed


class PartOfList(nn.Module):
    """Layers that are called through a slice of the list that holds them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(conv() for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[1:]:
            x = layer(x)
        return x
