from __future__ import annotations

import pytest
from torch import nn

from torchseg.compress.layers import weight_layers


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
