from __future__ import annotations

import pytest
import torch
from torch import nn

from torchseg.compress.channel_rows import channel_rows, from_channel_rows

LAYERS = [
    nn.Conv2d(4, 6, 3),
    nn.Conv2d(4, 6, 3, groups=2),
    nn.Linear(5, 3),
    nn.ConvTranspose2d(4, 6, 2),
    nn.ConvTranspose2d(4, 6, 2, groups=2),
]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_each_row_makes_one_output_channel(layer):
    rows = channel_rows(layer.weight.detach(), layer)
    assert len(rows) == len(layer.bias)
    nn.init.zeros_(layer.bias)
    for channel in range(len(rows)):
        alone = torch.zeros_like(rows)
        alone[channel] = rows[channel]
        layer.weight.data = from_channel_rows(alone, layer, tuple(layer.weight.shape))
        output = layer(torch.ones(1, 5) if isinstance(layer, nn.Linear) else torch.ones(1, 4, 5, 5))
        active = [index for index in range(len(rows)) if output.select(1, index).any()]
        assert active == [channel]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_there_and_back_is_the_same_weight(layer):
    weight = torch.randn_like(layer.weight)
    assert torch.equal(from_channel_rows(channel_rows(weight, layer), layer, tuple(weight.shape)), weight)
