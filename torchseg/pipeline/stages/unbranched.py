"""A checkpoint's network without the branches that only help training."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from torchseg.checkpoint import Card
from torchseg.models import fold_branches


def unbranched(network: nn.Module, card: Card) -> tuple[nn.Module, Card]:
    """Folds branches in place, and gives the card that builds what is left; compression starts from here.

    Zeros and shared values of single branches would be lost in their sum, which is what a file holds.
    """
    if not fold_branches(network):
        return network, card
    return network, replace(card, arguments={**card.arguments, "layers": "plain"})
