from __future__ import annotations

import pytest
import torch
from torch import nn

from torchseg.compress import ChannelPruneConfig, prune_channels, resize_layers
from torchseg.models import build_model


def test_a_shrunk_network_is_its_builders_network_resized(spec, images):
    arguments = {"base_width": 32, "depth": 2, "upsampling": "transposed"}
    pruned = prune_channels(build_model("attention_unet", arguments, spec), images, ChannelPruneConfig(share=0.3)).model
    again = build_model("attention_unet", arguments, spec).eval()
    resize_layers(again, pruned.state_dict())
    again.load_state_dict(pruned.state_dict())
    assert torch.equal(again(images), pruned(images))
    assert [str(module) for module in again.modules()] == [str(module) for module in pruned.modules()]


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("make", [nn.Conv2d, nn.ConvTranspose2d])
def test_a_layer_says_how_wide_it_is(make, groups):
    wide, narrow = make(8, 12, 3, groups=groups), make(4, 6, 3, groups=groups)
    resize_layers(wide, narrow.state_dict())
    assert str(wide) == str(narrow)


def test_weights_of_the_same_shape_stay_as_they_are():
    layer = nn.Linear(2, 2)
    weight = layer.weight
    resize_layers(layer, layer.state_dict())
    assert layer.weight is weight


def test_names_that_the_network_lacks_are_left_to_loading():
    layer = nn.Linear(2, 2)
    resize_layers(layer, {"other": torch.zeros(3)})
    with pytest.raises(RuntimeError, match="Missing key"):
        layer.load_state_dict({"other": torch.zeros(3)})


def test_a_depthwise_layer_has_a_group_for_every_channel():
    wide, narrow = nn.Conv2d(8, 16, 3, groups=8), nn.Conv2d(4, 8, 3, groups=4)
    resize_layers(wide, narrow.state_dict())
    assert str(wide) == str(narrow)
