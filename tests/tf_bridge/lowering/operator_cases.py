"""Layers that need one operator each, on maps of `CHANNELS` channels, and no change of layout."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = 6


class Applied(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, image: Tensor) -> Tensor:
        return self.function(image)


class Learned(nn.Module):
    """Arithmetic with a parameter per channel."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(-1, 1, CHANNELS).reshape(CHANNELS, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        return 2 - (image * self.scale + self.scale) / 3


class SpatialChannelGate(nn.Module):
    """Concurrent spatial and channel squeeze and excitation, as in scSE decoders (arXiv:1803.02579)."""

    def __init__(self) -> None:
        super().__init__()
        self.channel = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(CHANNELS, 2, 1), nn.ReLU(), nn.Conv2d(2, CHANNELS, 1), nn.Sigmoid()
        )
        self.spatial = nn.Sequential(nn.Conv2d(CHANNELS, 1, 1), nn.Sigmoid())

    def forward(self, image: Tensor) -> Tensor:
        return image * self.channel(image) + image * self.spatial(image)


class LinearGate(nn.Module):
    """Squeeze and excitation with linear layers: batch and channels alone in between."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Linear(CHANNELS, CHANNELS)

    def forward(self, image: Tensor) -> Tensor:
        weight = torch.sigmoid(self.weight(image.mean(dim=(2, 3))))
        return image * weight.view(weight.shape[0], CHANNELS, 1, 1)


def convolution(out: int = 4, kernel: int | tuple[int, int] = 3, **arguments: object) -> nn.Module:
    return nn.Conv2d(CHANNELS, out, kernel, **arguments)


def deconvolution(out: int = 4, kernel: int | tuple[int, int] = 3, **arguments: object) -> nn.Module:
    return nn.ConvTranspose2d(CHANNELS, out, kernel, **arguments)


def resize(mode: str, align_corners: bool | None = None, **arguments: object) -> nn.Module:
    return Applied(lambda image: functional.interpolate(image, mode=mode, align_corners=align_corners, **arguments))


def pad(*pads: int, **arguments: object) -> nn.Module:
    return Applied(lambda image: functional.pad(image, pads, **arguments))


OPERATORS: dict[str, Callable[[], nn.Module]] = {
    "convolution": lambda: convolution(),
    "convolution that keeps its size": lambda: convolution(padding=1),
    "convolution with padding same": lambda: convolution(kernel=(3, 5), padding="same"),
    "convolution with padding valid": lambda: convolution(padding="valid"),
    "strided convolution": lambda: convolution(padding=1, stride=2),
    "strided wide convolution": lambda: convolution(kernel=7, padding=3, stride=2, bias=False),
    "strided pointwise convolution": lambda: convolution(kernel=1, stride=2),
    "convolution with uneven strides": lambda: convolution(padding=1, stride=(2, 1)),
    "dilated convolution": lambda: convolution(padding=2, dilation=2),
    "dilated convolution without padding": lambda: convolution(kernel=(2, 3), dilation=2),
    "asymmetric convolution": lambda: convolution(kernel=(1, 5), padding=(0, 2)),
    "padded beyond its kernel": lambda: convolution(kernel=1, padding=2),
    "grouped convolution": lambda: convolution(out=6, padding=1, groups=3),
    "depthwise convolution": lambda: convolution(out=CHANNELS, padding=1, groups=CHANNELS),
    "depthwise convolution with multiplier": lambda: convolution(out=12, padding=1, groups=CHANNELS),
    "strided depthwise convolution": lambda: convolution(out=CHANNELS, kernel=5, padding=2, stride=2, groups=CHANNELS),
    "dilated depthwise convolution": lambda: convolution(out=CHANNELS, padding=2, dilation=2, groups=CHANNELS),
    "depthwise convolution with uneven strides": lambda: convolution(out=CHANNELS, stride=(1, 2), groups=CHANNELS),
    "separable pair": lambda: nn.Sequential(
        convolution(out=CHANNELS, padding=1, groups=CHANNELS), convolution(kernel=1)
    ),
    "convolution and batch norm": lambda: nn.Sequential(convolution(bias=False), nn.BatchNorm2d(4), nn.ReLU()),
    "batch norm alone": lambda: nn.BatchNorm2d(CHANNELS),
    "batch norm without weights": lambda: nn.BatchNorm2d(CHANNELS, affine=False),
    "transposed convolution by two": lambda: deconvolution(kernel=2, stride=2),
    "transposed convolution, kernel 4": lambda: deconvolution(kernel=4, stride=2, padding=1),
    "transposed convolution, kernel 3": lambda: deconvolution(stride=2, padding=1, output_padding=1),
    "transposed convolution by one": lambda: deconvolution(padding=1),
    "transposed convolution by three": lambda: deconvolution(kernel=(3, 2), stride=3, output_padding=(0, 2)),
    "transposed convolution, kernel below stride": lambda: deconvolution(kernel=1, stride=2, bias=False),
    "grouped transposed convolution": lambda: deconvolution(kernel=2, stride=2, groups=2),
    "transposed convolution and batch norm": lambda: nn.Sequential(
        deconvolution(kernel=2, stride=2), nn.BatchNorm2d(4)
    ),
    "max pooling": lambda: nn.MaxPool2d(2),
    "max pooling with padding": lambda: nn.MaxPool2d(3, 2, 1),
    "max pooling with rounded-up size": lambda: nn.MaxPool2d(3, 2, 1, ceil_mode=True),
    "max pooling that keeps its size": lambda: nn.MaxPool2d(5, 1, 2),
    "average pooling": lambda: nn.AvgPool2d(2),
    "average pooling with padding": lambda: nn.AvgPool2d(3, 2, 1),
    "average pooling of real pixels": lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    "average pooling with rounded-up size": lambda: nn.AvgPool2d((2, 3), 2, ceil_mode=True),
    "average pooling with own divisor": lambda: nn.AvgPool2d(2, divisor_override=3),
    "adaptive average pooling": lambda: nn.AdaptiveAvgPool2d(1),
    "adaptive max pooling": lambda: nn.AdaptiveMaxPool2d(1),
    "bilinear by two": lambda: resize("bilinear", align_corners=False, scale_factor=2.0),
    "bilinear by two, corners aligned": lambda: resize("bilinear", align_corners=True, scale_factor=2.0),
    "bilinear to a size": lambda: resize("bilinear", align_corners=False, size=(11, 6)),
    "bilinear to a size, corners aligned": lambda: resize("bilinear", align_corners=True, size=(5, 13)),
    "nearest by two": lambda: resize("nearest", scale_factor=2.0),
    "nearest by three and one": lambda: resize("nearest", scale_factor=(3.0, 1.0)),
    "channel and spatial gates": SpatialChannelGate,
    "linear gate": LinearGate,
    "arithmetic with parameters": Learned,
    "arithmetic of two maps": lambda: Applied(lambda x: (x + 2 * x * x - x.abs()) / (x * x + 1)),
    "sum with a factor": lambda: Applied(lambda x: torch.add(x, x * x, alpha=3) - torch.sub(x, 1, alpha=2)),
    "maximum and minimum": lambda: Applied(lambda x: torch.maximum(x, -x) + torch.minimum(x, x * x)),
    "roots and powers": lambda: Applied(lambda x: (x.square() + 1).sqrt() + (x**2 + 1).rsqrt() + (x.abs() + 1) ** 1.5),
    "exponential and logarithm": lambda: Applied(lambda x: torch.log(torch.exp(x) + 1)),
    "join along channels": lambda: Applied(lambda x: torch.cat([x, x * x], dim=1)),
    "join along height": lambda: Applied(lambda x: torch.cat([x, -x], dim=2)),
    "cut out": lambda: Applied(lambda x: x[:, 1:5, 2:, :-1]),
    "every other pixel": lambda: Applied(lambda x: x[:, :, ::2, 1::2]),
    "halves multiplied": lambda: Applied(lambda x: x.chunk(2, dim=1)[0] * x.chunk(2, dim=1)[1]),
    "unequal parts": lambda: Applied(lambda x: torch.cat(torch.split(x, [1, 5], dim=1)[::-1], dim=1)),
    "zero padding": lambda: pad(1, 2, 0, 3),
    "padding with a value": lambda: pad(1, 1, 1, 1, value=-1.5),
    "negative padding": lambda: pad(-1, 2, 1, -2),
    "reflected padding": lambda: pad(2, 1, 1, 2, mode="reflect"),
    "replicated padding": lambda: pad(2, 1, 0, 2, mode="replicate"),
    "mean over pixels": lambda: Applied(lambda x: x.mean(dim=(2, 3), keepdim=True) + x),
    "mean over channels": lambda: Applied(lambda x: x.mean(dim=1, keepdim=True)),
    "largest over channels": lambda: Applied(lambda x: torch.cat([x.amax(1, True), x.max(1, True)[0]], dim=1)),
    "smallest and sum": lambda: Applied(lambda x: x.amin(dim=1, keepdim=True) + x.sum(dim=(1,), keepdim=True)),
    "softmax": lambda: nn.Softmax(dim=1),
    "logarithm of softmax": lambda: nn.LogSoftmax(dim=1),
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "clamp": lambda: Applied(lambda x: x.clamp(-0.5, 0.7) + x.clamp(min=0.1) + x.clamp(0, 1)),
    "leaky relu": lambda: nn.LeakyReLU(0.1),
    "prelu": lambda: nn.PReLU(CHANNELS, init=0.3),
    "elu": nn.ELU,
    "elu with another slope": lambda: nn.ELU(alpha=0.5),
    "selu": nn.SELU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "hard sigmoid": nn.Hardsigmoid,
    "hard swish": nn.Hardswish,
    "hard tanh": nn.Hardtanh,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "softplus": nn.Softplus,
    "gelu": lambda: nn.Sequential(convolution(), nn.GELU()),
    "gelu by tanh": lambda: nn.GELU(approximate="tanh"),
    "dropout": lambda: nn.Sequential(nn.Dropout(0.5), nn.Dropout2d(0.5), nn.ReLU()),
}
