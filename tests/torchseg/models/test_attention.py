from __future__ import annotations

import torch

from torchseg.models.attention import AttentionGate


def test_a_gate_only_ever_weakens_a_skip():
    skip, signal = torch.randn(2, 6, 8, 8), torch.randn(2, 4, 8, 8)
    gated = AttentionGate(6, 4)(skip, signal)
    assert gated.shape == skip.shape
    assert (gated.abs() <= skip.abs()).all()


def test_all_channels_of_a_pixel_share_one_weight():
    skip, signal = torch.rand(1, 6, 4, 4) + 0.1, torch.randn(1, 4, 4, 4)
    weight = AttentionGate(6, 4)(skip, signal) / skip
    assert torch.allclose(weight, weight[:, :1].expand_as(weight), atol=1e-6)
