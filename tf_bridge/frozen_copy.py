"""Copies a network for export: plain finite weights, eval mode, on the CPU."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

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
    network = _copy(model).cpu().float().eval()
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


def _copy(model: nn.Module) -> nn.Module:
    # A weight that a hook computes before each forward belongs to an autograd graph, which copy.deepcopy refuses.
    computed = {id(value): value.detach().clone() for layer in model.modules() for value in _computed(layer)}
    try:
        return copy.deepcopy(model, dict(computed))
    except Exception:  # objects raise what they like
        return copy.deepcopy(model, _uncopyable(model) | computed)


def _uncopyable(model: nn.Module) -> dict[int, Any]:
    """Attributes that `copy.deepcopy` refuses, such as scripted functions and locks, by their `id`: they are shared."""
    import torch

    usual = vars(torch.nn.Module()).keys()
    own = (value for layer in model.modules() for name, value in vars(layer).items() if name not in usual)
    return {id(value): value for value in own if not isinstance(value, torch.Tensor) and not _can_be_copied(value)}


def _can_be_copied(value: object) -> bool:
    try:
        copy.deepcopy(value)
    except Exception:
        return False
    return True


def _computed(layer: nn.Module) -> list[Tensor]:
    """Tensors of a layer that are neither parameters nor buffers, and that autograd has computed."""
    import torch

    return [value for value in vars(layer).values() if isinstance(value, torch.Tensor) and not value.is_leaf]


def _remove_parametrizations(layer: nn.Module) -> None:
    """Replaces computed weights by their values, in place; knows `parametrize` and the older forward hooks."""
    from torch.nn.utils import remove_spectral_norm, remove_weight_norm
    from torch.nn.utils.parametrize import is_parametrized
    from torch.nn.utils.spectral_norm import SpectralNorm
    from torch.nn.utils.weight_norm import WeightNorm

    if is_parametrized(layer):
        _remove_properties(layer)
    for hook in list(layer._forward_pre_hooks.values()):
        if isinstance(hook, WeightNorm):
            remove_weight_norm(layer, hook.name)
        elif isinstance(hook, SpectralNorm):
            remove_spectral_norm(layer, hook.name)


def _remove_properties(layer: nn.Module) -> None:
    """Does what `parametrize.remove_parametrizations` does, which takes the weights from the original layer as well.

    A parametrized layer has a class of its own, in which each weight is a property. A copy has the same class.
    """
    import torch

    values = {name: getattr(layer, name).detach() for name in layer.parametrizations}  # type: ignore[union-attr]
    del layer.parametrizations
    layer.__class__ = type(layer).__bases__[0]
    for name, value in values.items():
        layer.register_parameter(name, torch.nn.Parameter(value.clone()))
