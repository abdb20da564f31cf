"""The optimizers that a training can use, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import nn

_MOMENTUM = 0.9

# Fused kernels update all weights in one pass.
OPTIMIZERS: Mapping[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": partial(torch.optim.AdamW, fused=True),
    "adam": partial(torch.optim.Adam, fused=True),
    "sgd": partial(torch.optim.SGD, momentum=_MOMENTUM, fused=True),
}


def make_optimizer(name: str, model: nn.Module, *, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
    """An optimizer of all weights of a network.

    Args:
        name: a key of `OPTIMIZERS`. `adamw` decays weights apart from the gradient (arXiv:1711.05101), `adam` and `sgd`
            add the decay to it; `sgd` has momentum 0.9.
        model: the network.
        learning_rate: > 0.
        weight_decay: >= 0.
    """
    return OPTIMIZERS[name](model.parameters(), lr=learning_rate, weight_decay=weight_decay)
