"""Quantization-aware training: simulates int8 in a float network, so that training can adapt to it."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from torchseg.compress.layers import channel_rows, from_channel_rows, weight_layers

_MOMENTUM = 0.1  # of the moving average: roughly the last ten batches count
_RANGE = "int8_range"  # name of the submodule that is added to layers during the simulation


class Int8Simulation:
    """Rounds weights and activations of a network as int8 files do, until `remove` is called.

    Weights are rounded symmetrically per output channel to 255 levels. The inputs of every layer with weights, and the
    logits, are rounded per tensor to 256 levels between moving averages of the batches' smallest and largest values.
    Batch norm statistics are frozen: converters fold batch norm into the weights, and a factor per channel scales the
    levels together with the weights.

    Create the optimizer afterwards, because the weights are registered as new parameters. Zero weights stay zero.

    Args:
        network: changed in place. Training updates its float weights; rounding happens in the forward pass.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._layers = weight_layers(network)
        self._handles = [network.register_forward_hook(_round_logits)]
        for layer in self._layers.values():
            parametrize.register_parametrization(layer, "weight", _RoundedWeight(layer))
            layer.add_module(_RANGE, _Range())
            self._handles.append(layer.register_forward_pre_hook(_round_input))
        self._norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
        self._handles += [norm.register_forward_pre_hook(_freeze) for norm in self._norms]
        network.add_module(_RANGE, _Range())

    @torch.no_grad()
    def observe(self, images: Tensor) -> None:
        """Initialises the activation ranges, in batches of 8.

        Args:
            images: normalised images `(B, C, H, W)`, as for evaluation.
        """
        ranges = [module for module in self._network.modules() if isinstance(module, _Range)]
        self._network.eval()
        for module in ranges:
            module.train()
        for batch in torch.split(images, 8):
            self._network(batch)
        self._network.eval()

    def remove(self) -> None:
        """Restores the plain network, with its weights rounded to the values that its int8 files will store."""
        for handle in self._handles:
            handle.remove()
        for layer in self._layers.values():
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
        for module in (*self._layers.values(), self._network):
            delattr(module, _RANGE)


class _RoundedWeight(nn.Module):
    """Rounds a weight as int8 stores it: 127 levels on either side of zero, scaled to each channel's largest weight."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self._layer = [layer]  # in a list, so that the parent is not registered as a submodule of its own child
        self.alive: Tensor
        self.register_buffer("alive", cast(Tensor, layer.weight) != 0)

    def forward(self, weight: Tensor) -> Tensor:
        layer, weight = self._layer[0], weight * self.alive
        rows = channel_rows(weight, layer)  # (C_out, N)
        largest = rows.detach().abs().amax(dim=1, keepdim=True).clamp(min=1e-12)  # (C_out, 1)
        rounded = fake_quantize(rows, scale=largest / 127, low=-largest, high=largest)
        return from_channel_rows(rounded, layer, tuple(weight.shape))


class _Range(nn.Module):
    """Rounds a tensor to 256 levels over a moving average of its range; zero is always a level."""

    def __init__(self) -> None:
        super().__init__()
        self.low: Tensor
        self.high: Tensor
        self.register_buffer("low", torch.tensor(torch.inf))
        self.register_buffer("high", torch.tensor(-torch.inf))

    def forward(self, values: Tensor) -> Tensor:
        values = values.float()  # mixed precision passes bfloat16, whose steps are wider than those of int8
        if self.training:
            self._follow(values.detach())
        scale = (self.high - self.low).clamp(min=1e-12) / 255
        bottom = (self.low / scale).round() * scale  # shifted so that zero is a level
        return fake_quantize(values, scale=scale, low=bottom, high=bottom + 255 * scale)

    def _follow(self, values: Tensor) -> None:
        low, high = values.amin().clamp(max=0), values.amax().clamp(min=0)
        momentum = _MOMENTUM if self.low.isfinite() else 1.0
        self.low.copy_(low if momentum == 1 else self.low.lerp(low, momentum))
        self.high.copy_(high if momentum == 1 else self.high.lerp(high, momentum))


def _round_input(layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return (getattr(layer, _RANGE)(inputs[0]), *inputs[1:])


def _round_logits(network: nn.Module, _: tuple[Any, ...], logits: Tensor) -> Tensor:
    return cast(Tensor, getattr(network, _RANGE)(logits))


def _freeze(norm: nn.Module, _: tuple[Any, ...]) -> None:
    norm.eval()  # the training loop puts the whole network into training mode every epoch


def fake_quantize(values: Tensor, *, scale: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """Rounds values to the nearest multiple of `scale` between `low` and `high`, as an 8-bit file stores them.

    The gradient ignores the rounding, and is zero where a value is clipped (straight-through estimator,
    arXiv:1308.3432).

    Args:
        values: float, any shape.
        scale: distance between two levels, > 0; broadcasts against the values.
        low: smallest value that can be stored, a multiple of `scale`; may be a tensor that broadcasts.
        high: largest value that can be stored, of the same kind.

    Returns:
        Rounded values, same shape as `values`.
    """
    cut = values.maximum(low) if isinstance(low, Tensor) else values.clamp(min=low)
    cut = cut.minimum(high) if isinstance(high, Tensor) else cut.clamp(max=high)
    rounded = (cut / scale).round() * scale
    return cut + (rounded - cut).detach()
