"""Batch norm folded into the convolution before it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from torchseg.compress.channel_rows import channel_rows, from_channel_rows
from torchseg.compress.norm_pairs import norm_pairs


@torch.no_grad()
def fold_batch_norm(model: nn.Module, images: Tensor | None = None) -> int:
    """Folds every batch norm into the convolution in front of it, in place: the same logits from fewer layers.

    What is left of a network of `torchseg.models` is the one that its builder makes with `batch_norm=False`: names and
    shapes of the weights are the same. A norm that is no part of an `nn.Sequential` leaves an `nn.Identity` behind, or
    the activation that it contained.

    Args:
        model: in eval mode.
        images: an example `(B, C, H, W)`, on which the network is watched. Without it, convolution and batch norm must
            follow one another in an `nn.Sequential`.

    Returns:
        Number of batch norms folded; 0 where there are none.

    Raises:
        ValueError: in training mode, where the norm depends on the batch, or if a batch norm has no convolution before
            it; the network is then left as it was.
    """
    if any(module.training for module in model.modules()):
        raise ValueError(
            "the network is in training mode, where batch norm depends on the batch; call model.eval() first"
        )
    pairs = _listed(model) if images is None else norm_pairs(model, images)
    _check(model, pairs)
    for norm, layer in pairs.items():
        _fold(cast(nn.Module, layer), cast(nn.BatchNorm2d, norm))
    _take_out(model, pairs)
    return len(pairs)


def _listed(model: nn.Module) -> dict[nn.Module, nn.Module | None]:
    """Batch norms and the layers listed in front of them; None where that is no convolution or there is none."""
    found: dict[nn.Module, nn.Module | None] = {
        norm: None for norm in model.modules() if isinstance(norm, nn.modules.batchnorm._BatchNorm)
    }
    for block in model.modules():
        for layer, norm in pairwise(block) if isinstance(block, nn.Sequential) else ():
            if norm in found and isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                found[norm] = layer
    return found


def _take_out(model: nn.Module, norms: Collection[nn.Module]) -> None:
    for block in list(model.modules()):
        for name, child in reversed(list(block.named_children())):  # a deletion renumbers what follows
            if child not in norms:
                continue
            rest = [getattr(child, kind) for kind in ("drop", "act") if hasattr(child, kind)]  # timm's norms hold more
            if rest or not isinstance(block, nn.Sequential):
                setattr(block, name, nn.Sequential(*rest) if rest else nn.Identity())
            else:
                del block[int(name)]


def _check(model: nn.Module, pairs: Mapping[nn.Module, nn.Module | None]) -> None:
    for name, module in model.named_modules():
        if module not in pairs:
            continue
        if pairs[module] is None:
            raise ValueError(
                f"batch norm '{name}' has no convolution before it in its block; cluster per channel instead"
            )
        if module.running_mean is None:
            raise ValueError(f"batch norm '{name}' keeps no running statistics, so it cannot be folded")


def _fold(layer: nn.Module, norm: nn.BatchNorm2d) -> None:
    """Scales each output channel and shifts its bias, in double, so that rounding happens once."""
    weight = cast(Tensor, layer.weight)
    mean, variance = cast(Tensor, norm.running_mean).double(), cast(Tensor, norm.running_var).double()
    scale = (variance + norm.eps).rsqrt()  # (C,)
    if norm.affine:
        scale = scale * norm.weight.double()
    bias = layer.bias.double() if isinstance(layer.bias, Tensor) else torch.zeros_like(mean)
    shift = (bias - mean) * scale + (norm.bias.double() if norm.affine else 0.0)
    rows = channel_rows(weight.double(), layer) * scale[:, None]
    weight.copy_(from_channel_rows(rows, layer, tuple(weight.shape)))
    layer.bias = nn.Parameter(shift.to(weight.dtype))
