"""Attention of published segmentation networks, each on maps of `CHANNELS` channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.special_blocks import CHANNELS, conv

WINDOW = 4  # both sides of every image divide by this


class SqueezeExcitation(nn.Module):
    """arXiv:1709.01507, with linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Sequential(nn.Linear(CHANNELS, 4), nn.ReLU(), nn.Linear(4, CHANNELS), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, _, _ = x.size()
        pooled = functional.adaptive_avg_pool2d(x, 1).view(batch, channels)
        return x * self.gate(pooled).view(batch, channels, 1, 1).expand_as(x)


class Cbam(nn.Module):
    """Convolutional block attention, arXiv:1807.06521."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Sequential(nn.Flatten(), nn.Linear(CHANNELS, 2), nn.ReLU(), nn.Linear(2, CHANNELS))
        self.spatial = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        mean = functional.avg_pool2d(x, (x.size(2), x.size(3)))
        peak = functional.max_pool2d(x, (x.size(2), x.size(3)))
        scale = torch.sigmoid(self.shared(mean) + self.shared(peak)).unsqueeze(2).unsqueeze(3).expand_as(x)
        x = x * scale
        pooled = torch.cat((torch.max(x, 1)[0].unsqueeze(1), torch.mean(x, 1).unsqueeze(1)), dim=1)
        return x * torch.sigmoid(self.spatial(pooled))


class SimAm(nn.Module):
    """Attention without parameters (SimAM, ICML 2021)."""

    def forward(self, x: Tensor) -> Tensor:
        count = x.shape[2] * x.shape[3] - 1
        deviation = (x - x.mean(dim=[2, 3], keepdim=True)).pow(2)
        energy = deviation / (4 * (deviation.sum(dim=[2, 3], keepdim=True) / count + 1e-4)) + 0.5
        return x * torch.sigmoid(energy)


class EfficientChannelAttention(nn.Module):
    """ECA, arXiv:1910.03151: a 1-D convolution along the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 1, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        pooled = functional.adaptive_avg_pool2d(x, 1)
        gate = self.conv(pooled.squeeze(-1).transpose(-1, -2)).transpose(-1, -2).unsqueeze(-1)
        return x * gate.sigmoid().expand_as(x)


class CoordinateAttention(nn.Module):
    """arXiv:2103.02907: pools each side alone and swaps the axes."""

    def __init__(self) -> None:
        super().__init__()
        self.reduce = nn.Sequential(conv(4, 1), nn.BatchNorm2d(4), nn.Hardswish())
        self.rows, self.columns = nn.Conv2d(4, CHANNELS, 1), nn.Conv2d(4, CHANNELS, 1)

    def forward(self, x: Tensor) -> Tensor:
        _, _, height, width = x.size()
        rows = functional.adaptive_avg_pool2d(x, (height, 1))
        columns = functional.adaptive_avg_pool2d(x, (1, width)).permute(0, 1, 3, 2)
        rows, columns = torch.split(self.reduce(torch.cat([rows, columns], dim=2)), [height, width], dim=2)
        return x * self.rows(rows).sigmoid() * self.columns(columns.permute(0, 1, 3, 2)).sigmoid()


class NonLocal(nn.Module):
    """Attention of all pixels to all pixels, arXiv:1711.07971 and arXiv:1809.02983 (positions)."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = conv(4, 1), conv(4, 1), conv(CHANNELS, 1)
        self.gamma = nn.Parameter(torch.tensor([0.5]))

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.size()
        query = self.query(x).view(batch, -1, height * width).permute(0, 2, 1)
        energy = torch.bmm(query, self.key(x).view(batch, -1, height * width))
        value = self.value(x).view(batch, -1, height * width)
        out = torch.bmm(value, torch.softmax(energy, dim=-1).permute(0, 2, 1))
        return self.gamma * out.view(batch, channels, height, width) + x


class ChannelAttention(nn.Module):
    """Attention of channels to channels, arXiv:1809.02983."""

    def forward(self, x: Tensor) -> Tensor:
        flat = x.view(x.size(0), x.size(1), -1)
        energy = torch.bmm(flat, flat.permute(0, 2, 1)) / flat.size(2)
        energy = torch.max(energy, -1, keepdim=True)[0].expand_as(energy) - energy
        return torch.bmm(torch.softmax(energy, dim=-1), flat).view_as(x) + x


class GlobalContext(nn.Module):
    """GCNet, arXiv:1904.11492."""

    def __init__(self) -> None:
        super().__init__()
        self.mask = conv(1, 1)
        self.change = nn.Sequential(conv(4, 1), nn.LayerNorm([4, 1, 1]), nn.ReLU(), nn.Conv2d(4, CHANNELS, 1))

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, _, _ = x.shape
        mask = torch.softmax(self.mask(x).view(batch, 1, -1), dim=2).unsqueeze(-1)  # (B, 1, HW, 1)
        context = torch.matmul(x.view(batch, channels, -1).unsqueeze(1), mask)  # (B, 1, C, 1)
        return x + self.change(context.view(batch, channels, 1, 1))


class ShuffleAttention(nn.Module):
    """Shuffle attention's groups, arXiv:2102.00240: group norm in the middle of folded groups."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(2, 2)
        self.weight = nn.Parameter(torch.linspace(-1, 1, 2).view(1, 2, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        first, second = x.reshape(batch * 2, -1, height, width).chunk(2, dim=1)
        first = first * torch.sigmoid(self.weight * functional.adaptive_avg_pool2d(first, 1))
        second = second * torch.sigmoid(self.norm(second))
        joined = torch.cat([first, second], dim=1).contiguous().view(batch, 2, -1, height, width)
        return joined.permute(0, 2, 1, 3, 4).contiguous().view(batch, -1, height, width)


class WindowAttention(nn.Module):
    """Swin's attention inside windows with relative positions, arXiv:2103.14030; `shift` in pixels."""

    def __init__(self, shift: int = 0, heads: int = 2) -> None:
        super().__init__()
        self.shift, self.heads = shift, heads
        self.norm, self.qkv, self.out = (
            nn.LayerNorm(CHANNELS),
            nn.Linear(CHANNELS, 3 * CHANNELS),
            nn.Linear(CHANNELS, CHANNELS),
        )
        self.table = nn.Parameter(torch.randn((2 * WINDOW - 1) ** 2, heads))
        rows = torch.stack(torch.meshgrid(torch.arange(WINDOW), torch.arange(WINDOW), indexing="ij")).flatten(1)
        apart = (rows[:, :, None] - rows[:, None, :]).permute(1, 2, 0) + WINDOW - 1
        self.register_buffer("index", apart[..., 0] * (2 * WINDOW - 1) + apart[..., 1])

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        y = self.norm(x.permute(0, 2, 3, 1))
        y = torch.roll(y, (-self.shift, -self.shift), (1, 2)) if self.shift else y
        y = y.view(batch, height // WINDOW, WINDOW, width // WINDOW, WINDOW, channels)
        y = y.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, WINDOW * WINDOW, channels)
        qkv = (
            self.qkv(y)
            .reshape(y.shape[0], WINDOW * WINDOW, 3, self.heads, channels // self.heads)
            .permute(2, 0, 3, 1, 4)
        )
        query, key, value = qkv[0], qkv[1], qkv[2]
        bias = self.table[self.index.view(-1)].view(WINDOW * WINDOW, WINDOW * WINDOW, -1).permute(2, 0, 1).contiguous()
        scores = (query * 0.5) @ key.transpose(-2, -1) + bias.unsqueeze(0)
        y = self.out((scores.softmax(dim=-1) @ value).transpose(1, 2).reshape(y.shape))
        y = y.view(batch, height // WINDOW, width // WINDOW, WINDOW, WINDOW, channels)
        y = y.permute(0, 1, 3, 2, 4, 5).contiguous().view(batch, height, width, channels)
        y = torch.roll(y, (self.shift, self.shift), (1, 2)) if self.shift else y
        return x + y.permute(0, 3, 1, 2)


class EfficientAttention(nn.Module):
    """SegFormer's attention with a reduced sequence, arXiv:2105.15203."""

    def __init__(self) -> None:
        super().__init__()
        self.reduce, self.norm = nn.Conv2d(CHANNELS, CHANNELS, 2, stride=2), nn.LayerNorm(CHANNELS)
        self.query, self.kv, self.out = (
            nn.Linear(CHANNELS, CHANNELS),
            nn.Linear(CHANNELS, 2 * CHANNELS),
            nn.Linear(CHANNELS, CHANNELS),
        )

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        tokens = x.flatten(2).transpose(1, 2)
        query = self.query(tokens).reshape(batch, -1, 2, channels // 2).permute(0, 2, 1, 3)
        reduced = self.norm(
            self.reduce(tokens.permute(0, 2, 1).reshape(batch, channels, height, width))
            .reshape(batch, channels, -1)
            .permute(0, 2, 1)
        )
        key, value = self.kv(reduced).reshape(batch, -1, 2, 2, channels // 2).permute(2, 0, 3, 1, 4).unbind(0)
        y = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(batch, -1, channels)
        return (tokens + self.out(y)).transpose(1, 2).view(batch, channels, height, width)


class MultiHead(nn.Module):
    """PyTorch's own multi-head attention over the pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(CHANNELS, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        return x + self.attention(tokens, tokens, tokens)[0].transpose(1, 2).reshape(x.shape)


class TransformerLayer(nn.Module):
    """PyTorch's own encoder layer over the pixels of a reduced map."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(CHANNELS, 2, 16, activation="gelu", batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        small = functional.avg_pool2d(x, 2)
        return self.layer(small.flatten(2).permute(0, 2, 1)).permute(0, 2, 1).reshape(small.shape)


class LinearAttention(nn.Module):
    """Attention whose cost grows linearly with the pixels, arXiv:1812.01243."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Conv2d(CHANNELS, 3 * CHANNELS, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        qkv = self.qkv(x).chunk(3, dim=1)
        query, key, value = (each.reshape(batch, 2, channels // 2, height * width) for each in qkv)
        context = torch.einsum("bhdn,bhen->bhde", key.softmax(dim=-1), value)
        return torch.einsum("bhde,bhdn->bhen", context, query.softmax(dim=-2)).reshape(batch, -1, height, width)


class AxialAttention(nn.Module):
    """Attention along the width of every row, arXiv:2003.07853."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(CHANNELS, 3 * CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        rows = x.permute(0, 2, 3, 1).reshape(batch * height, width, channels)
        query, key, value = self.qkv(rows).split(channels, dim=-1)
        y = functional.scaled_dot_product_attention(query, key, value)
        return y.reshape(batch, height, width, channels).permute(0, 3, 1, 2)


class ObjectContext(nn.Module):
    """Object regions as in OCRNet, arXiv:1909.11065."""

    def __init__(self) -> None:
        super().__init__()
        self.regions = nn.Conv2d(CHANNELS, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        share = functional.softmax(self.regions(x).flatten(2), dim=2)  # (B, R, HW)
        context = torch.matmul(share, x.flatten(2).transpose(1, 2)).transpose(1, 2).unsqueeze(3)  # (B, C, R, 1)
        pixels, keys = x.flatten(2).transpose(1, 2), context.squeeze(3)
        weights = functional.softmax(pixels @ keys * CHANNELS**-0.5, dim=-1)
        return torch.cat([(weights @ keys.transpose(1, 2)).transpose(1, 2).reshape(x.shape), x], dim=1)


class TripletAttention(nn.Module):
    """arXiv:2010.03045: gates over every pair of axes."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(2, 1, 3, padding=1) for _ in range(3)])

    def forward(self, x: Tensor) -> Tensor:
        total = torch.zeros_like(x)
        for layer, order in zip(self.convs, [(0, 1, 2, 3), (0, 2, 1, 3), (0, 3, 2, 1)], strict=True):
            turned = x.permute(order).contiguous()
            pooled = torch.cat([turned.amax(1, keepdim=True), turned.mean(1, keepdim=True)], dim=1)
            total = total + (turned * layer(pooled).sigmoid()).permute(order).contiguous()
        return total / 3
