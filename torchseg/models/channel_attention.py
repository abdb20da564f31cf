"""Attention over the channels of a feature map."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class ChannelAttention(nn.Module):
    """Scales each channel by how much its average and its maximum ask for. Source: arXiv:1807.06521, section 3.1.

    Args:
        channels: C; `(B, C, H, W)` stays `(B, C, H, W)`.
        reduction: the two layers that both pooled vectors share have `channels / reduction` channels between them.
    """

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.narrow = nn.Conv2d(channels, hidden, 1)
        self.widen = nn.Conv2d(hidden, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Weakened features; a weight lies in (0, 1)."""
        pooled = features.mean((2, 3), keepdim=True), features.amax((2, 3), keepdim=True)  # (B, C, 1, 1) each
        average, maximum = (self.widen(functional.relu(self.narrow(each))) for each in pooled)
        return features * torch.sigmoid(average + maximum)
