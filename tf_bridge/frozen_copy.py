"""Copies a network for export: plain finite weights, eval mode, on the CPU."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

_STATISTICS = ("running_mean", "running_var")


def frozen_copy(model: nn.Module) -> nn.Module:
    """Copies a network in float32 and eval mode, with every weight as the plain tensor that it is in eval mode.

    Weight norm, spectral norm and other parametrizations compute a weight from other tensors. For a network that is
    not trained any more, the result is a constant; as such, exporters need not know how it is computed.

    Args:
        model: not modified.

    Raises:
        ValueError: if a weight is not finite, see `check_finite`.
    """
    check_finite(model)
    # A weight that a hook computes before each forward belongs to an autograd graph, which copy.deepcopy refuses.
    computed = {id(value): value.detach().clone() for layer in model.modules() for value in _computed(layer)}
    network: nn.Module = copy.deepcopy(model, computed).cpu().float().eval()
    for layer in network.modules():
        _remove_parametrizations(layer)
    return network


def check_finite(model: nn.Module) -> None:
    """Checks that a network can compute anything.

    An infinite buffer is fine unless batch norm divides by it: attention masks hold minus infinity.

    Raises:
        ValueError: if a parameter or a batch-norm statistic is not finite, or a buffer is NaN; names all such tensors.
    """
    bad = [name for name, tensor in model.named_parameters() if not tensor.isfinite().all()]
    for name, tensor in model.named_buffers():
        strict = name.endswith(_STATISTICS)
        if tensor.isnan().any() or (strict and not tensor.isfinite().all()):
            bad.append(name)
    if bad:
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        raise ValueError(
            f"weights of the network are not finite: {', '.join(bad[:3])}{more}; its training diverged, or its file is "
            "damaged: give a checkpoint from before that, or train again with a lower learning rate"
        )


def _computed(layer: nn.Module) -> list[Tensor]:
    """Tensors of a layer that are neither parameters nor buffers, and that autograd has computed."""
    import torch

    return [value for value in vars(layer).values() if isinstance(value, torch.Tensor) and not value.is_leaf]


def _remove_parametrizations(layer: nn.Module) -> None:
    """Replaces computed weights by their values, in place; knows `parametrize` and the older forward hooks."""
    from torch.nn.utils import parametrize, remove_spectral_norm, remove_weight_norm
    from torch.nn.utils.spectral_norm import SpectralNorm
    from torch.nn.utils.weight_norm import WeightNorm

    if parametrize.is_parametrized(layer):
        for name in list(layer.parametrizations):  # type: ignore[arg-type]
            parametrize.remove_parametrizations(layer, name, leave_parametrized=True)
    for hook in list(layer._forward_pre_hooks.values()):
        if isinstance(hook, WeightNorm):
            remove_weight_norm(layer, hook.name)
        elif isinstance(hook, SpectralNorm):
            remove_spectral_norm(layer, hook.name)
