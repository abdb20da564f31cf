"""Several networks as one, whose probabilities are averaged."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

_LEAST = 1e-7  # probability: its logarithm stays finite in float16


class Ensemble(nn.Module):
    """Averages the probabilities of several networks; as a teacher it is usually more accurate than each of them.

    Source: arXiv:1503.02531, section 1.

    Args:
        networks: each maps images `(B, C, H, W)` to logits `(B, K, H, W)` of the same classes.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.stride = math.lcm(*(int(getattr(network, "stride", 1)) for network in networks))

    def forward(self, images: Tensor) -> Tensor:
        """Logits `(B, K, H, W)`: the logarithm of the mean of the probabilities."""
        probabilities = [network(images).softmax(dim=1) for network in self.networks]
        return torch.stack(probabilities).mean(dim=0).clamp(min=_LEAST).log()
