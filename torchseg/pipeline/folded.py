"""A checkpoint's network without batch norm, as its builder would make it."""

from __future__ import annotations

import copy
from dataclasses import replace

from torch import nn

from torchseg.checkpoint import Card
from torchseg.compress import fold_batch_norm
from torchseg.models import build_model


def folded(network: nn.Module, card: Card) -> tuple[nn.Module, Card]:
    """A copy with batch norm folded into the convolutions, and the card that builds it.

    Args:
        network: in eval mode; left as it is.
        card: says how it is built.

    Raises:
        ValueError: if a batch norm cannot be folded, or the builder makes no network without.
    """
    plain = copy.deepcopy(network)
    if not fold_batch_norm(plain):
        return plain, card
    card = replace(card, arguments={**card.arguments, "batch_norm": False})
    expected = build_model(card.builder, card.arguments, card.spec)
    if plain.state_dict().keys() != expected.state_dict().keys():
        raise ValueError(f"'{card.builder}' is another network without batch norm; share values per channel instead")
    return plain, card
