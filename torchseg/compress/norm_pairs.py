"""Which convolution each batch norm scales, seen in a forward pass."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

_LAYERS = (nn.Conv2d, nn.ConvTranspose2d)
_CONVOLUTIONS = (torch.conv2d, torch.conv_transpose2d)


@torch.no_grad()
def norm_pairs(model: nn.Module, images: Tensor) -> dict[nn.Module, nn.Module | None]:
    """Every batch norm that takes part, with the convolution whose output it reads; None where folding would be wrong.

    It would be wrong where something else reads that output too, where something lies in between, or where the
    convolution or the norm is used more than once.

    Args:
        model: in eval mode.
        images: `(B, C, H, W)`, one is enough; what the network does must not depend on their values.
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
    """Writes down who made and who read a tensor, by id; keeps every tensor alive, so that an id stands for one."""

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[int, int] = {}  # output of a convolution -> its weight
        self.weights: list[int] = []  # of every convolution that ran
        self.normed: dict[int, list[int]] = defaultdict(list)  # running mean of a norm -> what it read
        self.read: list[int] = []
        self._alive: list[Any] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if not any(isinstance(leaf, Tensor) for leaf in tree_leaves(result)):  # a question about shape or type
            return result
        self._alive += [args, kwargs, result]
        self.read += [id(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if func in _CONVOLUTIONS:
            self.made[id(result)] = id(args[1])
            self.weights.append(id(args[1]))
        elif func is functional.batch_norm:
            self.normed[id(args[1])].append(id(args[0]))
        return result
