"""More attention and context of published segmentation networks, each on maps of `CHANNELS` channels."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.special_blocks import CHANNELS, conv


class CrissCross(nn.Module):
    """CCNet's attention along the row and the column of each pixel, arXiv:1811.11721."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = conv(4, 1), conv(4, 1), conv(CHANNELS, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.size()
        columns = [each(x).permute(0, 3, 1, 2).contiguous().view(batch * width, -1, height) for each in self._layers]
        rows = [each(x).permute(0, 2, 1, 3).contiguous().view(batch * height, -1, width) for each in self._layers]
        itself = -torch.diag(torch.tensor(float("inf")).repeat(height), 0).unsqueeze(0).repeat(batch * width, 1, 1)
        down = torch.bmm(columns[0].permute(0, 2, 1), columns[1]) + itself
        down = down.view(batch, width, height, height).permute(0, 2, 1, 3)
        along = torch.bmm(rows[0].permute(0, 2, 1), rows[1]).view(batch, height, width, width)
        weights = functional.softmax(torch.cat([down, along], 3), dim=3)
        down = weights[:, :, :, 0:height].permute(0, 2, 1, 3).contiguous().view(batch * width, height, height)
        along = weights[:, :, :, height : height + width].contiguous().view(batch * height, width, width)
        out = torch.bmm(columns[2], down.permute(0, 2, 1)).view(batch, width, -1, height).permute(0, 2, 3, 1)
        return x + out + torch.bmm(rows[2], along.permute(0, 2, 1)).view(batch, height, -1, width).permute(0, 2, 1, 3)

    @property
    def _layers(self) -> tuple[nn.Module, ...]:
        return self.query, self.key, self.value


class MaskedWindows(nn.Module):
    """Swin V2's cosine attention in shifted windows with the mask of their parts, arXiv:2111.09883."""

    def __init__(self, window: int = 4, shift: int = 2) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.qkv = nn.Linear(CHANNELS, 3 * CHANNELS)
        self.scale = nn.Parameter(torch.log(10 * torch.ones(2, 1, 1)))

    def _mask(self, height: int, width: int) -> Tensor:
        parts = torch.zeros((1, height, width, 1))
        cuts = (slice(0, -self.window), slice(-self.window, -self.shift), slice(-self.shift, None))
        for count, (rows, columns) in enumerate((rows, columns) for rows in cuts for columns in cuts):
            parts[:, rows, columns, :] = count
        parts = self._windows(parts).view(-1, self.window**2)
        apart = parts.unsqueeze(1) - parts.unsqueeze(2)
        return apart.masked_fill(apart != 0, -100.0).masked_fill(apart == 0, 0.0)

    def _windows(self, y: Tensor) -> Tensor:
        batch, height, width, channels = y.shape
        y = y.view(batch, height // self.window, self.window, width // self.window, self.window, channels)
        return y.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, self.window**2, channels)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        windows = self._windows(torch.roll(x.permute(0, 2, 3, 1), shifts=(-self.shift, -self.shift), dims=(1, 2)))
        count, length, _ = windows.shape
        qkv = self.qkv(windows).reshape(count, length, 3, 2, -1).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)
        scores = functional.normalize(query, dim=-1) @ functional.normalize(key, dim=-1).transpose(-2, -1)
        scores = scores * torch.clamp(self.scale, max=math.log(100.0)).exp()
        mask = self._mask(height, width)
        scores = scores.view(batch, len(mask), 2, length, length) + mask.unsqueeze(1).unsqueeze(0)
        y = scores.view(-1, 2, length, length).softmax(-1) @ value
        y = y.transpose(1, 2).reshape(batch, height // self.window, width // self.window, self.window, self.window, -1)
        y = y.permute(0, 1, 3, 2, 4, 5).contiguous().view(batch, height, width, channels)
        return x + torch.roll(y, shifts=(self.shift, self.shift), dims=(1, 2)).permute(0, 3, 1, 2)


class NeighbourAttention(nn.Module):
    """Attention of each pixel to the nine around it, by unfold."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Conv2d(CHANNELS, 3 * CHANNELS, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        query, key, value = torch.chunk(self.qkv(x), 3, dim=1)
        key, value = (
            functional.unfold(each, kernel_size=3, padding=1).view(batch, channels, 9, height * width)
            for each in (key, value)
        )
        weights = (query.view(batch, channels, 1, -1) * key).sum(1, keepdim=True).softmax(dim=2)
        return (weights * value).sum(2).view(batch, channels, height, width)


class FocalModulation(nn.Module):
    """arXiv:2203.11926: context of growing depthwise convolutions, gated."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(CHANNELS, 2 * CHANNELS + 3), nn.Linear(CHANNELS, CHANNELS)
        self.levels = nn.ModuleList([nn.Sequential(conv(kernel=k, groups=CHANNELS), nn.GELU()) for k in (3, 5)])
        self.context = conv(kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.enter(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).contiguous()
        query, context, gates = torch.split(parts, (CHANNELS, CHANNELS, 3), 1)
        total = 0
        for index, level in enumerate(self.levels):
            context = level(context)
            total = total + context * gates[:, index : index + 1]
        mean = context.mean(2, keepdim=True).mean(3, keepdim=True)
        total = total + functional.gelu(mean) * gates[:, 2:]
        return self.leave((query * self.context(total)).permute(0, 2, 3, 1).contiguous()).permute(0, 3, 1, 2)


class PolarizedAttention(nn.Module):
    """arXiv:2107.00782, sequential."""

    def __init__(self) -> None:
        super().__init__()
        self.channel_value, self.channel_query = conv(4, 1), conv(1, 1)
        self.channel_out, self.norm = nn.Conv2d(4, CHANNELS, 1), nn.LayerNorm(CHANNELS)
        self.space_value, self.space_query = conv(4, 1), conv(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.size()
        value = self.channel_value(x).reshape(batch, channels // 2, -1)
        query = self.channel_query(x).reshape(batch, -1, 1).softmax(1)
        gate = self.channel_out(torch.matmul(value, query).unsqueeze(-1))
        gate = self.norm(gate.reshape(batch, channels, 1).permute(0, 2, 1)).permute(0, 2, 1).sigmoid()
        x = gate.reshape(batch, channels, 1, 1) * x
        value = self.space_value(x).reshape(batch, channels // 2, -1)
        query = functional.adaptive_avg_pool2d(self.space_query(x), (1, 1)).permute(0, 2, 3, 1)
        weights = torch.matmul(query.reshape(batch, 1, channels // 2).softmax(-1), value)
        return weights.reshape(batch, 1, height, width).sigmoid() * x


class MultiScaleAttention(nn.Module):
    """Efficient multi-scale attention over groups of channels, arXiv:2305.13563."""

    def __init__(self, groups: int = 2) -> None:
        super().__init__()
        self.groups = groups
        width = CHANNELS // groups
        self.norm, self.narrow, self.wide = (
            nn.GroupNorm(width, width),
            nn.Conv2d(width, width, 1),
            conv(width, channels=width),
        )

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.size()
        y = x.reshape(batch * self.groups, -1, height, width)
        rows, columns = functional.adaptive_avg_pool2d(y, (None, 1)), functional.adaptive_avg_pool2d(y, (1, None))
        both = self.narrow(torch.cat([rows, columns.permute(0, 1, 3, 2)], dim=2))
        rows, columns = torch.split(both, [height, width], dim=2)
        first, second = self.norm(y * rows.sigmoid() * columns.permute(0, 1, 3, 2).sigmoid()), self.wide(y)
        weights = [functional.adaptive_avg_pool2d(each, (1, 1)).flatten(1).softmax(-1) for each in (first, second)]
        flat = [each.flatten(2) for each in (second, first)]
        total = sum(torch.matmul(w.unsqueeze(1), f) for w, f in zip(weights, flat, strict=True))
        gate = total.reshape(batch * self.groups, 1, height, width)
        return (y * gate.sigmoid()).reshape(batch, channels, height, width)


class ExpectationMaximisation(nn.Module):
    """EMANet, arXiv:1907.13426: three rounds of attention to bases, which it updates."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("bases", functional.normalize(torch.randn(1, CHANNELS, 5), dim=1))

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.size()
        flat, bases = x.view(batch, channels, height * width), self.bases.repeat(batch, 1, 1)
        for _ in range(3):
            shares = functional.softmax(torch.bmm(flat.permute(0, 2, 1), bases), dim=2)
            bases = torch.bmm(flat, shares / (1e-6 + shares.sum(dim=1, keepdim=True)))
            bases = bases / (1e-6 + bases.norm(dim=1, keepdim=True))
        return functional.relu(bases.matmul(shares.permute(0, 2, 1)).view(batch, channels, height, width))


class Involution(nn.Module):
    """arXiv:2103.06255: a kernel per pixel, shared by the channels of a group."""

    def __init__(self) -> None:
        super().__init__()
        self.reduce, self.span = conv(4, 1), nn.Conv2d(4, 9 * 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        weights = self.span(functional.relu(self.reduce(functional.avg_pool2d(x, 2))))
        height, width = height // 2, width // 2
        weights = weights.view(batch, 2, 9, height, width).unsqueeze(2)
        patches = nn.Unfold(3, 1, 1, 2)(x).view(batch, 2, channels // 2, 9, height, width)
        return (weights * patches).sum(dim=3).view(batch, channels, height, width)


class SplitAttention(nn.Module):
    """ResNeSt, arXiv:2004.08955: a softmax over the radix."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.enter, self.leave = (
            conv(2 * CHANNELS, groups=2),
            conv(4, 1, groups=2),
            nn.Conv2d(4, 2 * CHANNELS, 1, groups=2),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.conv(x))
        batch, wide = y.shape[:2]
        splits = torch.split(y, wide // 2, dim=1)
        gap = functional.adaptive_avg_pool2d(sum(splits), 1)
        weights = self.leave(functional.relu(self.enter(gap)))
        weights = weights.view(batch, 2, 2, -1).transpose(1, 2).softmax(dim=1).reshape(batch, -1).view(batch, -1, 1, 1)
        return sum(w * s for w, s in zip(torch.split(weights, wide // 2, dim=1), splits, strict=True)).contiguous()


class DoubleAttention(nn.Module):
    """A2-Nets, arXiv:1810.11579: gathers features and hands them out."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.gather, self.spread = conv(CHANNELS, 1), conv(4, 1), conv(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        gathered = self.features(x).view(batch, channels, -1)
        maps = functional.softmax(self.gather(x).view(batch, 4, -1), dim=-1)
        descriptors = torch.bmm(gathered, maps.permute(0, 2, 1))
        vectors = functional.softmax(self.spread(x).view(batch, 4, -1), dim=1)
        return descriptors.matmul(vectors).view(batch, channels, height, width)


class RotaryAttention(nn.Module):
    """Attention with rotary position embedding, arXiv:2104.09864, and a causal mask."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(CHANNELS, 3 * CHANNELS)
        angles = torch.outer(torch.arange(24).float(), 10000 ** (-torch.arange(0, CHANNELS, 2) / CHANNELS))
        self.register_buffer("angles", torch.cat((angles, angles), dim=-1), persistent=False)

    def _turned(self, y: Tensor) -> Tensor:
        half = torch.cat((-y[..., CHANNELS // 2 :], y[..., : CHANNELS // 2]), dim=-1)
        return y * self.angles.cos()[None] + half * self.angles.sin()[None]

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        tokens = x.permute(0, 2, 3, 1).reshape(batch * height, width, channels)
        query, key, value = self.qkv(tokens).chunk(3, dim=-1)
        scores = self._turned(query) @ self._turned(key).transpose(1, 2) / channels**0.5
        causal = torch.tril(torch.ones(width, width, device=x.device)).bool()
        scores = scores.masked_fill(~causal, float("-inf")).softmax(dim=-1)
        return (scores @ value).reshape(batch, height, width, channels).permute(0, 3, 1, 2)


class FrequencyAttention(nn.Module):
    """FcaNet, arXiv:2012.11879: squeezes with cosines instead of the mean."""

    def __init__(self) -> None:
        super().__init__()
        grid = [torch.cos(math.pi * (torch.arange(8) + 0.5) * u / 8) for u in range(CHANNELS)]
        self.register_buffer("filters", torch.stack([torch.outer(each, grid[1]) for each in grid]))
        self.gate = nn.Sequential(nn.Linear(CHANNELS, 2, bias=False), nn.ReLU(inplace=True), nn.Linear(2, CHANNELS))

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, _, _ = x.shape
        pooled = functional.adaptive_avg_pool2d(x, (8, 8))
        squeezed = torch.sum(pooled * self.filters, dim=[2, 3])
        return x * self.gate(squeezed).sigmoid().view(batch, channels, 1, 1).expand_as(x)


class Codebook(nn.Module):
    """The nearest of learnt vectors in place of each pixel's, as in VQ-VAE and prototype networks."""

    def __init__(self) -> None:
        super().__init__()
        self.vectors = nn.Embedding(12, CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        pixels = x.permute(0, 2, 3, 1).reshape(-1, channels)
        nearest = torch.cdist(pixels, self.vectors.weight).argmin(dim=1)
        chosen = self.vectors(nearest).view(batch, height, width, channels).permute(0, 3, 1, 2)
        return x + (chosen - x).detach()
