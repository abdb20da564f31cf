"""Batch norm folded into the convolution before it."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from torchseg.compress.channel_rows import channel_rows, from_channel_rows


@torch.no_grad()
def fold_batch_norm(model: nn.Module) -> int:
    """Folds every batch norm into the convolution in front of it, in place: the same logits from fewer layers.

    What is left of a network of `torchseg.models` is the one that its builder makes with `batch_norm=False`: names and
    shapes of the weights are the same.

    Args:
        model: in eval mode; convolution and batch norm follow one another in an `nn.Sequential`.

    Returns:
        Number of batch norms folded; 0 where there are none.

    Raises:
        ValueError: in training mode, where the norm depends on the batch, or if a batch norm has no convolution before
            it in its block; the network is then left as it was.
    """
    if any(module.training for module in model.modules()):
        raise ValueError(
            "the network is in training mode, where batch norm depends on the batch; call model.eval() first"
        )
    pairs = [
        (block, position)
        for block in model.modules()
        if isinstance(block, nn.Sequential)
        for position, (layer, norm) in enumerate(pairwise(block))
        if isinstance(norm, nn.BatchNorm2d) and isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    ]
    _check(model, [block[position + 1] for block, position in pairs])
    for block, position in reversed(pairs):  # from the back, because a deletion renumbers what follows
        _fold(block[position], cast(nn.BatchNorm2d, block[position + 1]))
        del block[position + 1]
    return len(pairs)


def _check(model: nn.Module, foldable: list[nn.Module]) -> None:
    known = {id(module) for module in foldable}
    for name, module in model.named_modules():
        if not isinstance(module, nn.modules.batchnorm._BatchNorm):
            continue
        if id(module) not in known:
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
