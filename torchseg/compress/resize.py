"""Resizes the layers of a network to fit the weights that are to be loaded."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

_WIDTHS: Mapping[type[nn.Module], tuple[str, str]] = {
    nn.Conv2d: ("out_channels", "in_channels"),
    nn.ConvTranspose2d: ("in_channels", "out_channels"),
    nn.Linear: ("out_features", "in_features"),
    nn.BatchNorm2d: ("num_features", ""),
}


def resize_layers(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Gives every parameter and buffer the shape that it has in `weights`, in place; their values are then undefined.

    This restores a network after channel pruning: build the full network, resize it, then load the weights.

    Args:
        model: fresh from its builder.
        weights: by name, as in a state dict; unknown names are ignored here, and `load_state_dict` reports them.
    """
    for prefix, module in model.named_modules():
        own = {**dict(module.named_parameters(recurse=False)), **dict(module.named_buffers(recurse=False))}
        for name, tensor in own.items():
            stored = weights.get(f"{prefix}.{name}" if prefix else name)
            if stored is None or stored.shape == tensor.shape:
                continue
            resized = torch.empty(stored.shape, dtype=tensor.dtype, device=tensor.device)
            if isinstance(tensor, nn.Parameter):
                resized = nn.Parameter(resized, requires_grad=tensor.requires_grad)
            setattr(module, name, resized)
        _state_widths(module)


def _state_widths(module: nn.Module) -> None:
    """Updates the attributes for a layer's width, such as `in_channels`, from the shape of its weight."""
    if isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels:
        multiplier = module.out_channels // module.in_channels
        module.groups = module.weight.shape[0] // multiplier  # a depthwise layer has one group per channel
    for kind, names in _WIDTHS.items():
        weight = getattr(module, "weight", None)
        if isinstance(module, kind) and isinstance(weight, Tensor):
            groups = getattr(module, "groups", 1)
            for axis, name in enumerate(names):
                if name:
                    setattr(module, name, weight.shape[axis] * (groups if axis == 1 else 1))
