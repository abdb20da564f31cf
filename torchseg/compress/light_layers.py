"""Which layers hold so few weights that making them sparse saves nothing and costs much."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn


def light_layers(layers: Mapping[str, nn.Module], *, share: float) -> tuple[str, ...]:
    """The lightest layers that together hold at most this share of the weights of all.

    First and last layers of a segmentation network are among them: they have few channels and work at full resolution,
    so each of their weights decides about many pixels.

    Args:
        layers: convolutions and linear layers, by name.
        share: in [0, 1).
    """
    sizes = {name: _weights(layer) for name, layer in layers.items()}
    left, light = share * sum(sizes.values()), []
    for name in sorted(sizes, key=lambda name: (sizes[name], name)):
        left -= sizes[name]
        if left < 0:
            break
        light.append(name)
    return tuple(light)


def carried_sparsity(layers: Mapping[str, nn.Module], light: tuple[str, ...], *, sparsity: float) -> float:
    """Share of zeros that the other layers need so that all weights together have `sparsity`; may exceed 1."""
    total = sum(_weights(layer) for layer in layers.values())
    others = total - sum(_weights(layers[name]) for name in light)
    return sparsity * total / others if others else sparsity


def _weights(layer: nn.Module) -> int:
    weight = layer.weight
    return weight.numel() if isinstance(weight, Tensor) else 0
