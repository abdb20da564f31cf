"""A checkpoint's network without batch norm, as its builder would make it."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import nn

from torchseg.checkpoint import Card
from torchseg.compress import fold_batch_norm
from torchseg.models import arguments_of


def folded(network: nn.Module, card: Card) -> tuple[nn.Module, Card]:
    """A copy with batch norm folded into the convolutions, and the card that builds it.

    Args:
        network: in eval mode; left as it is.
        card: says how it is built.

    Raises:
        ValueError: if a batch norm cannot be folded.
    """
    plain = copy.deepcopy(network)
    if not fold_batch_norm(plain, torch.zeros(1, card.spec.channels, card.spec.height, card.spec.width)):
        return plain, card
    if "batch_norm" in arguments_of(card.builder):
        return plain, replace(card, arguments={**card.arguments, "batch_norm": False})
    return plain, replace(card, folded=True)
