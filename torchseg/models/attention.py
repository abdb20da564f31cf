"""Additive attention gate on a skip connection."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class AttentionGate(nn.Module):
    """Scales a skip, pixel by pixel, by how much the decoder asks for it. Source: arXiv:1804.03999, figure 2.

    Both inputs have the same height and width: the gate follows the upsampling, so nothing is resampled inside it.
    """

    def __init__(self, skip_channels: int, signal_channels: int) -> None:
        super().__init__()
        hidden = max(1, skip_channels // 2)
        self.skip = nn.Conv2d(skip_channels, hidden, 1)
        self.signal = nn.Conv2d(signal_channels, hidden, 1)
        self.weight = nn.Conv2d(hidden, 1, 1)

    def forward(self, skip: Tensor, signal: Tensor) -> Tensor:
        """`(B, skip_channels, H, W)` and `(B, signal_channels, H, W)` give `(B, skip_channels, H, W)`."""
        weight = torch.sigmoid(self.weight(functional.relu(self.skip(skip) + self.signal(signal))))  # (B, 1, H, W)
        return skip * weight
