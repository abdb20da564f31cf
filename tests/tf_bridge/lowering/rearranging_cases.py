"""Layers that need one operator each, on maps of `CHANNELS` channels, with other axes than images or moved data."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.tf_bridge.lowering.operator_cases import CHANNELS, Applied, convolution, deconvolution, pad, resize


class ChannelsLast(nn.Module):
    """A layer for `(B, H, W, C)`."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, image: Tensor) -> Tensor:
        return self.layer(image.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Pixels(nn.Module):
    """A layer for `(B, C, HW)`."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, image: Tensor) -> Tensor:
        return self.layer(image.flatten(2)).unsqueeze(2)


class Tokens(Pixels):
    """A layer for `(B, HW, C)`."""

    def forward(self, image: Tensor) -> Tensor:
        return self.layer(image.flatten(2).transpose(1, 2)).transpose(1, 2).unsqueeze(3)


class Attention(nn.Module):
    """Scaled dot product attention of two heads."""

    def __init__(self, **arguments: object) -> None:
        super().__init__()
        self.qkv, self.arguments = nn.Linear(CHANNELS, 3 * CHANNELS), arguments

    def forward(self, tokens: Tensor) -> Tensor:
        qkv = self.qkv(tokens).unflatten(2, (3, 2, CHANNELS // 2)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*qkv.unbind(0), **self.arguments)
        return mixed.transpose(1, 2).flatten(2)


class MaxPoolingAndBack(nn.Module):
    """SegNet's unpooling."""

    def forward(self, image: Tensor) -> Tensor:
        pooled, places = functional.max_pool2d(image, 2, return_indices=True)
        return functional.max_unpool2d(-pooled, places, 2, output_size=image.shape[2:])


class Sampled(nn.Module):
    """An image bent by a grid that depends on it."""

    def __init__(self, **arguments: object) -> None:
        super().__init__()
        self.arguments = arguments

    def forward(self, image: Tensor) -> Tensor:
        grid = functional.affine_grid(torch.tensor([[[0.9, 0.3, 0.2], [-0.4, 1.1, 0.1]]]), image.shape, False)
        grid = grid + image[:, :2].permute(0, 2, 3, 1).tanh() * 0.2
        return functional.grid_sample(image, grid, **self.arguments)


REARRANGING: dict[str, Callable[[], nn.Module]] = {
    "row convolution": lambda: Pixels(nn.Conv1d(CHANNELS, 4, 3, stride=2, padding=1)),
    "row convolution with groups": lambda: Pixels(nn.Conv1d(CHANNELS, CHANNELS, 5, padding=2, groups=CHANNELS)),
    "row convolution with padding same": lambda: Pixels(nn.Conv1d(CHANNELS, 4, 3, padding="same", dilation=2)),
    "row transposed convolution": lambda: Pixels(nn.ConvTranspose1d(CHANNELS, 4, 3, 2, 1, output_padding=1)),
    "dilated transposed convolution": lambda: deconvolution(stride=2, padding=1, dilation=2, output_padding=1),
    "depthwise transposed convolution": lambda: deconvolution(out=CHANNELS, kernel=4, stride=2, padding=1, groups=6),
    "reflected convolution": lambda: convolution(padding=2, padding_mode="reflect"),
    "circular convolution": lambda: convolution(padding=(1, 2), padding_mode="circular"),
    "circular padding": lambda: pad(2, 1, 0, 3, mode="circular"),
    "unfolded": lambda: Applied(lambda x: functional.unfold(x, (3, 2), padding=1, stride=2)[:, :, :, None]),
    "folded": lambda: Applied(
        lambda x: functional.fold(functional.unfold(x, 3, padding=1, stride=2), x.shape[2:], 3, padding=1, stride=2)
    ),
    "group norm": lambda: nn.GroupNorm(3, CHANNELS),
    "group norm of rows": lambda: Pixels(nn.GroupNorm(2, CHANNELS)),
    "instance norm": lambda: nn.InstanceNorm2d(CHANNELS, affine=True),
    "instance norm with statistics": lambda: nn.InstanceNorm2d(CHANNELS, track_running_stats=True),
    "layer norm of channels": lambda: ChannelsLast(nn.LayerNorm(CHANNELS)),
    "layer norm of width and channels": lambda: Applied(
        lambda x: functional.layer_norm(x.permute(0, 2, 3, 1), (x.shape[3], CHANNELS))
    ),
    "rms norm": lambda: ChannelsLast(nn.RMSNorm(CHANNELS)),
    "batch norm of the image": lambda: nn.BatchNorm2d(CHANNELS, track_running_stats=False),
    "local response norm": lambda: nn.LocalResponseNorm(3),
    "linear over channels": lambda: ChannelsLast(nn.Linear(CHANNELS, 4)),
    "linear over tokens": lambda: Tokens(nn.Linear(CHANNELS, 4)),
    "weight times tokens": lambda: Applied(lambda x: (torch.linspace(-1, 1, 24).view(4, 6) @ x.flatten(2))[..., None]),
    "products of two maps": lambda: Applied(lambda x: (x.mT @ x.sigmoid()) @ x.mT / 9),
    "products of tokens": lambda: Applied(lambda x: (x.flatten(2).mT @ x.flatten(2) @ x.flatten(2).mT)[..., None] / 99),
    "attention": lambda: Tokens(Attention()),
    "masked attention": lambda: Tokens(Attention(is_causal=True)),
    "einsum": lambda: Applied(lambda x: torch.einsum("bchw,bdhw->bcd", x, x.sin())[..., None]),
    "permuted twice": lambda: Applied(lambda x: x.permute(0, 3, 1, 2).relu().permute(0, 2, 3, 1)),
    "permuted in the end": lambda: Applied(lambda x: x.transpose(1, 3)),
    "split axes": lambda: Applied(lambda x: x.unflatten(1, (2, 3)).flatten(2, 3)),
    "axes of one": lambda: Applied(lambda x: x.mean((2, 3), keepdim=True).squeeze().unsqueeze(1)[None, :, None] + x),
    "pixel shuffle": lambda: Applied(lambda x: functional.pixel_shuffle(torch.cat([x, -x], 1), 2)),
    "pixel unshuffle": lambda: Applied(lambda x: functional.pixel_unshuffle(x[:, :, :6, :8], 2)),
    "channel shuffle": lambda: nn.ChannelShuffle(3),
    "stack and unbind": lambda: Applied(lambda x: torch.stack(x.unbind(1)[::-1], dim=2)),
    "select": lambda: Applied(lambda x: x[:, 2, None] * x + x.select(2, -1).unsqueeze(2) + x[0, 1, 2, 3]),
    "expanded and joined": lambda: Applied(
        lambda x: torch.cat([x[:, :1].expand_as(x), x.mean(3, True).expand_as(x)], 1)
    ),
    "expanded, then reduced": lambda: Applied(lambda x: x[:, :1].expand_as(x).sigmoid().sum(1, keepdim=True)),
    "repeated": lambda: Applied(lambda x: x.repeat(1, 2, 1, 1) + x[:, :, :1].repeat(1, 2, x.shape[2], 1)),
    "repeated one by one": lambda: Applied(lambda x: x.repeat_interleave(2, dim=1)),
    "flipped": lambda: Applied(lambda x: x.flip((1, 3))),
    "rolled": lambda: Applied(lambda x: x.roll((2, -3, 1), (2, 3, 1))),
    "chosen": lambda: Applied(lambda x: x[:, [3, 0, 0]] + x.index_select(1, torch.tensor([5, 1, 2]))),
    "chosen pixels": lambda: Applied(lambda x: x[:, :, torch.tensor([[0], [3]]), torch.tensor([1, 5, -1])]),
    "chosen apart": lambda: Applied(lambda x: x[:, [1, 2], :, [0, 3]].unsqueeze(0)),
    "gathered": lambda: Applied(lambda x: x.gather(1, x.argmax(1, keepdim=True))),
    "slices of five axes": lambda: Applied(lambda x: x.view(1, 2, 3, *x.shape[2:])[:, 1, ::2, 1:]),
    "means without their axes": lambda: Applied(lambda x: x.mean(3)[..., None] + x.sum((1, 2))[:, None, None]),
    "largest of all": lambda: Applied(lambda x: x / x.max() - x.min() + x.mean() + x.sum() / 100),
    "places of the largest": lambda: Applied(lambda x: torch.stack([x.argmax(1), x.min(1)[1]], 1).float()),
    "spread": lambda: Applied(lambda x: x.var((2, 3), keepdim=True) + x.std(1, keepdim=True) + x.var(3)[..., None]),
    "product over channels": lambda: Applied(lambda x: x.prod(1, keepdim=True)),
    "softmax over height": lambda: nn.Softmax(dim=2),
    "softmax over all pixels": lambda: Applied(lambda x: x.flatten(2).softmax(2).view_as(x)),
    "logarithm of softmax over width": lambda: nn.LogSoftmax(dim=3),
    "sum so far": lambda: Applied(lambda x: x.cumsum(2)),
    "highest": lambda: Applied(lambda x: x.topk(2, dim=1)[0] - x.topk(2, dim=1, largest=False)[0]),
    "sorted": lambda: Applied(lambda x: x.sort(1)[0] + x.sort(2, descending=True)[0] + x.argsort(3).float()),
    "middle": lambda: Applied(lambda x: x.median(1, keepdim=True)[0] + x.kthvalue(2, dim=3, keepdim=True)[0] - x),
    "choice": lambda: Applied(lambda x: torch.where((x > 0) & (x <= 1) | (x != x), x, x[:, :1])),
    "masked": lambda: Applied(lambda x: x.masked_fill(~(x.amax(1, True) == x), -1.0)),
    "functions": lambda: Applied(lambda x: x.sin() + x.cos() + x.erf() + x.sign() + x.reciprocal() / 100 + x**3 / 9),
    "roundings": lambda: Applied(lambda x: x.floor() + x.ceil() + 2 * x.round() + x.trunc() + x % 2 + x // 3),
    "cast": lambda: Applied(lambda x: (x * 2).int().float() + (x > 0) + (x * 3).to(torch.int64) // 2),
    "constants": lambda: Applied(
        lambda x: x * torch.arange(x.shape[3]) + torch.ones_like(x) + torch.linspace(0, 1, x.shape[2])[:, None]
    ),
    "celu": lambda: nn.CELU(0.7),
    "gated": lambda: nn.GLU(dim=1),
    "shrunk": lambda: nn.Sequential(nn.Hardshrink(), nn.Softshrink(0.1)),
    "threshold": lambda: nn.Threshold(0.2, -1.0),
    "logarithm of the sigmoid": nn.LogSigmoid,
    "softplus with a low threshold": lambda: nn.Softplus(threshold=0.3),
    "prelu of tokens": lambda: Tokens(nn.PReLU(init=0.3)),
    "bicubic": lambda: resize("bicubic", False, scale_factor=2.0),
    "bicubic, corners aligned": lambda: resize("bicubic", True, size=(5, 13)),
    "bilinear by a broken factor": lambda: resize("bilinear", False, scale_factor=1.3),
    "bilinear, antialiased": lambda: resize("bilinear", False, size=(5, 7), antialias=True),
    "nearest by a broken factor": lambda: resize("nearest", scale_factor=1.6),
    "nearest to a size": lambda: resize("nearest", size=(11, 6)),
    "nearest of pixel centres": lambda: resize("nearest-exact", size=(11, 6)),
    "area": lambda: resize("area", size=(3, 5)),
    "adaptive average pooling to many": lambda: nn.AdaptiveAvgPool2d((5, 8)),
    "adaptive max pooling to many": lambda: nn.AdaptiveMaxPool2d((5, 8)),
    "dilated max pooling": lambda: nn.MaxPool2d(3, 2, 1, dilation=2),
    "max pooling and back": MaxPoolingAndBack,
    "sampled": lambda: Sampled(padding_mode="zeros", align_corners=False),
    "sampled with corners": lambda: Sampled(padding_mode="border", align_corners=True),
    "sampled with reflection": lambda: Sampled(padding_mode="reflection", align_corners=False),
    "sampled to the nearest": lambda: Sampled(mode="nearest", align_corners=False),
}
