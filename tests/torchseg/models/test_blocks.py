from __future__ import annotations

import torch

from torchseg.models.blocks import AttentionGate, ChannelAttention


def test_a_gate_only_ever_weakens_a_skip():
    skip, signal = torch.randn(2, 6, 8, 8), torch.randn(2, 4, 8, 8)
    gated = AttentionGate(6, 4)(skip, signal)
    assert gated.shape == skip.shape
    assert (gated.abs() <= skip.abs()).all()


def test_all_channels_of_a_pixel_share_one_weight():
    skip, signal = torch.rand(1, 6, 4, 4) + 0.1, torch.randn(1, 4, 4, 4)
    weight = AttentionGate(6, 4)(skip, signal) / skip
    assert torch.allclose(weight, weight[:, :1].expand_as(weight), atol=1e-6)


def test_all_pixels_of_a_channel_share_one_weight_below_one():
    features = torch.rand(2, 8, 4, 6) + 0.1
    weight = ChannelAttention(8)(features) / features
    assert torch.allclose(weight, weight[:, :, :1, :1].expand_as(weight), atol=1e-6)
    assert ((weight > 0) & (weight < 1)).all()
    assert len(weight[0, :, 0, 0].unique()) > 1


def test_the_maximum_matters_beside_the_average():
    flat, peaked = torch.ones(1, 8, 2, 2), torch.zeros(1, 8, 2, 2)
    peaked[..., 0, 0] = 4  # the same average
    attention = ChannelAttention(8, reduction=1)
    ratio = attention(peaked)[..., 0, 0] / 4 - attention(flat)[..., 0, 0]
    assert ratio.abs().max() > 1e-3
