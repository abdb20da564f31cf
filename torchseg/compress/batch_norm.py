"""Folds batch norm into the preceding convolution, and finds that convolution."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from torchseg.compress.layers import channel_rows, from_channel_rows

_LAYERS = (nn.Conv2d, nn.ConvTranspose2d)
_CONVOLUTIONS = (torch.conv2d, torch.conv_transpose2d)


@torch.no_grad()
def fold_batch_norm(model: nn.Module, images: Tensor | None = None) -> int:
    """Folds every batch norm into the preceding convolution, in place; the logits stay the same up to rounding.

    A network of `torchseg.models` then equals the one that its builder makes with `batch_norm=False`: its weights have
    the same names and shapes. A batch norm outside an `nn.Sequential` is replaced by an `nn.Identity`, or by the
    dropout and activation that it contains.

    Args:
        model: in eval mode.
        images: example images `(B, C, H, W)` to trace the network with. Without them, each batch norm must directly
            follow its convolution in an `nn.Sequential`.

    Returns:
        Number of batch norms folded; 0 if there are none.

    Raises:
        ValueError: in training mode, where the norm depends on the batch, or if a batch norm does not follow a
            convolution; the network is then left unchanged.
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
    """Each batch norm and the convolution before it in its `nn.Sequential`; None if there is no such convolution."""
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
        for name, child in reversed(list(block.named_children())):  # from the end: a deletion renumbers what follows
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
    """Scales each output channel and shifts its bias, in double precision, so that the result is rounded only once."""
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


@torch.no_grad()
def norm_pairs(model: nn.Module, images: Tensor) -> dict[nn.Module, nn.Module | None]:
    """Each batch norm that runs, with the convolution whose output it reads; None if folding would be wrong.

    Folding is wrong if another operator also reads that output, if an operator lies in between, or if the convolution
    or the norm is used more than once.

    Args:
        model: in eval mode.
        images: `(B, C, H, W)`, one is enough; the operators that run must not depend on their values.
    """
    with _Flow() as flow:
        flow.read += [id(tensor) for tensor in tree_leaves(model(images)) if isinstance(tensor, Tensor)]
    convolutions = {id(layer.weight): layer for layer in model.modules() if isinstance(layer, _LAYERS)}
    norms = {id(norm.running_mean): norm for norm in model.modules() if isinstance(norm, nn.BatchNorm2d)}
    found: dict[nn.Module, nn.Module | None] = {}
    for statistics, inputs in flow.normed.items():
        weight = flow.made.get(inputs[0])
        alone = len(inputs) == 1 and flow.read.count(inputs[0]) == 1 and flow.weights.count(weight or 0) == 1
        if statistics in norms:
            found[norms[statistics]] = convolutions.get(weight or 0) if alone else None
    return found


class _Flow(TorchFunctionMode):
    """Records which operators made and read each tensor, by id; keeps the tensors alive, so that ids are unique."""

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[int, int] = {}  # output of a convolution -> its weight
        self.weights: list[int] = []  # weight of every convolution that ran
        self.normed: dict[int, list[int]] = defaultdict(list)  # running mean of a norm -> what it read
        self.read: list[int] = []
        self._alive: list[Any] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if not any(isinstance(leaf, Tensor) for leaf in tree_leaves(result)):  # a query of shape or type
            return result
        self._alive += [args, kwargs, result]
        self.read += [id(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if func in _CONVOLUTIONS:
            self.made[id(result)] = id(args[1])
            self.weights.append(id(args[1]))
        elif func is functional.batch_norm:
            self.normed[id(args[1])].append(id(args[0]))
        return result
