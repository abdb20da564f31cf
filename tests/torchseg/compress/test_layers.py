from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from torchseg.compress.layers import carried_sparsity, channel_rows, from_channel_rows, smallest_layers, weight_layers

LAYERS = [
    nn.Conv2d(4, 6, 3),
    nn.Conv2d(4, 6, 3, groups=2),
    nn.Linear(5, 3),
    nn.ConvTranspose2d(4, 6, 2),
    nn.ConvTranspose2d(4, 6, 2, groups=2),
]


def test_default_means_all_three_kinds():
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ConvTranspose2d(1, 1, 1), nn.Linear(1, 1), nn.BatchNorm2d(1))
    assert list(weight_layers(network)) == ["0", "1", "2"]
    assert list(weight_layers(network, op_types=("Linear",))) == ["2"]


def test_excluding_a_block_leaves_out_every_layer_below(network):
    left = weight_layers(network, exclude=("gate", "head"))
    assert "stem.0" in left
    assert not [name for name in left if name.startswith(("gate", "head"))]


def test_a_name_that_only_begins_alike_stays():
    network = nn.ModuleDict({"up": nn.Linear(1, 1), "upper": nn.Linear(1, 1)})
    assert list(weight_layers(network, exclude=("up",))) == ["upper"]


def test_an_unknown_layer_is_answered_with_near_names(network):
    with pytest.raises(ValueError, match=r"no layer 'stem.1x'.*did you mean .*stem"):
        weight_layers(network, exclude=("stem.1x",))


def test_a_layer_without_weights_to_compress_is_refused(network):
    with pytest.raises(ValueError, match=r"'stem.1' is a BatchNorm2d"):
        weight_layers(network, named=("stem.1",))


def test_an_unknown_kind_is_refused(network):
    with pytest.raises(ValueError, match=r"no op type 'conv2d' \(did you mean 'Conv2d'\?\)"):
        weight_layers(network, op_types=("conv2d",))


def _layers(sizes):
    return {f"layer{number}": nn.Linear(size, 1) for number, size in enumerate(sizes)}


def test_the_lightest_layers_are_named_up_to_the_share():
    layers = _layers([900, 10, 60, 30])
    assert smallest_layers(layers, share=0.05) == ("layer1", "layer3")
    assert smallest_layers(layers, share=0.0) == ()


def test_the_others_carry_their_zeros():
    layers = _layers([900, 10, 60, 30])
    assert carried_sparsity(layers, ("layer1", "layer3"), sparsity=0.6) == pytest.approx(600 / 960)


@settings(deadline=None)
@given(st.lists(st.integers(1, 500), min_size=1, max_size=8), st.floats(0, 0.9), st.floats(0, 0.99))
def test_all_weights_together_meet_the_target(sizes, share, sparsity):
    layers = _layers(sizes)
    light = smallest_layers(layers, share=share)
    weights = {name: layer.weight.numel() for name, layer in layers.items()}
    spared = sum(weights[name] for name in light)
    assert spared <= share * sum(weights.values()) + 1e-6
    carried = carried_sparsity(layers, light, sparsity=sparsity)
    assert carried * (sum(weights.values()) - spared) == pytest.approx(sparsity * sum(weights.values()))


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
