"""What the code of published networks does around its layers: each on maps of `CHANNELS` channels."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils import checkpoint

from tests.special_blocks import CHANNELS, conv


class Checkpointed(nn.Module):
    """Layers that are computed again in the backward pass."""

    def __init__(self, *, use_reentrant: bool) -> None:
        super().__init__()
        self.layers, self.use_reentrant = nn.Sequential(conv(), nn.ReLU()), use_reentrant

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint.checkpoint(self.layers, x, use_reentrant=self.use_reentrant)


class WithoutAutocast(nn.Module):
    """A block that must not run in half precision."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv()

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(device_type="cpu", enabled=False):
            energy = self.conv(x.float()).flatten(2)
            return (energy.softmax(-1) * 10).view_as(x).type_as(x)


class WithoutGradient(nn.Module):
    """A part that is frozen by a context."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen, self.conv = conv(), conv()

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            features = self.frozen(x)
        return self.conv(features) + x


class _Swish(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        context.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        (x,) = context.saved_tensors
        share = torch.sigmoid(x)
        return gradient * (share * (1 + x * (1 - share)))


class OwnGradient(nn.Module):
    """EfficientNet's swish that saves memory."""

    def forward(self, x: Tensor) -> Tensor:
        return _Swish.apply(x)


class Hooked(nn.Module):
    """Features that hooks of inner layers collect."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(conv(), nn.ReLU(), conv(), nn.ReLU())
        self.features: list[Tensor] = []
        for index in (1, 3):
            self.layers[index].register_forward_hook(self._collect)

    def _collect(self, _: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
        self.features.append(output)

    def forward(self, x: Tensor) -> Tensor:
        self.features.clear()
        self.layers(x)
        return torch.cat(self.features, dim=1)


class CountingBuffer(nn.Module):
    """A buffer that every call changes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv()
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("centre", torch.zeros(1, CHANNELS, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        self.calls += 1
        self.centre.mul_(0.9).add_(y.mean(dim=(0, 2, 3), keepdim=True), alpha=0.1)
        return y * 2


class TiedWeights(nn.Module):
    """One weight in three layers, and transposed in a fourth."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = conv(), conv()
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.second(functional.relu(self.first(self.first(x)))))
        return functional.conv_transpose2d(y, self.first.weight, padding=1)


class _Features(NamedTuple):
    low: Tensor
    high: Tensor


class NamedFeatures(nn.Module):
    """Blocks that hand a named tuple, a dictionary and a list to each other."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleDict({"low": conv(), "high": conv(dilation=2)})
        self.scales = nn.ParameterList([nn.Parameter(torch.full((1,), value)) for value in (0.5, 1.5)])

    def forward(self, x: Tensor) -> Tensor:
        features = _Features(**{name: branch(x) for name, branch in self.branches.items()})
        maps = {"sum": features.low + features.high, "product": features.low * features.high}
        return sum(scale * value for scale, value in zip(self.scales, maps.values(), strict=True))


class InPlace(nn.Module):
    """Arithmetic in place, on views too."""

    def forward(self, x: Tensor) -> Tensor:
        y = x.clone()
        y[:, :4] *= 2
        y[:, 4:, 2:-2, 2:-2] += 1
        y.mul_(0.5).add_(x).clamp_(-2, 2)
        y.relu_()
        y[:, 0][:, 3:5] = 0.25
        return y


class MaskedAssignment(nn.Module):
    """Pixels that a mask chooses are overwritten."""

    def forward(self, x: Tensor) -> Tensor:
        y = x.clone()
        y[y > 1] = 1
        y[x < -0.5] = y.mean()
        return y


class DepthConvolution(nn.Module):
    """A convolution over height, width and channels, as for stacks of images."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(1, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.conv(x.unsqueeze(1))).flatten(1, 2)


class ImageKernels(nn.Module):
    """Kernels that the image decides, applied with groups, arXiv:1904.04971 and arXiv:2003.05664."""

    def __init__(self, *, depthwise: bool) -> None:
        super().__init__()
        self.depthwise = depthwise
        count = 9 * CHANNELS if depthwise else CHANNELS * CHANNELS
        self.kernels = nn.Linear(CHANNELS, count)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        kernels = self.kernels(functional.adaptive_avg_pool2d(x, 1).flatten(1))
        if self.depthwise:
            kernels = kernels.view(batch * channels, 1, 3, 3)
            y = functional.conv2d(x.reshape(1, -1, height, width), kernels, padding=1, groups=batch * channels)
        else:
            kernels = kernels.view(batch * channels, channels, 1, 1)
            y = functional.conv2d(x.reshape(1, -1, height, width), kernels, groups=batch)
        return y.view(batch, channels, height, width)


class RecurrentRows(nn.Module):
    """ReNet's recurrent layers over the rows of the map, arXiv:1505.00393."""

    def __init__(self, kind: type[nn.Module]) -> None:
        super().__init__()
        self.rows = kind(CHANNELS, 4, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        rows = x.permute(0, 2, 3, 1).reshape(batch * height, width, channels)
        return self.rows(rows)[0].reshape(batch, height, width, channels).permute(0, 3, 1, 2)
