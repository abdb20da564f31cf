from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from torchseg.compress.light_layers import carried_sparsity, light_layers


def _layers(sizes):
    return {f"layer{number}": nn.Linear(size, 1) for number, size in enumerate(sizes)}


def test_the_lightest_layers_are_named_up_to_the_share():
    layers = _layers([900, 10, 60, 30])
    assert light_layers(layers, share=0.05) == ("layer1", "layer3")
    assert light_layers(layers, share=0.0) == ()


def test_the_others_carry_their_zeros():
    layers = _layers([900, 10, 60, 30])
    assert carried_sparsity(layers, ("layer1", "layer3"), sparsity=0.6) == pytest.approx(600 / 960)


@settings(deadline=None)
@given(st.lists(st.integers(1, 500), min_size=1, max_size=8), st.floats(0, 0.9), st.floats(0, 0.99))
def test_all_weights_together_meet_the_target(sizes, share, sparsity):
    layers = _layers(sizes)
    light = light_layers(layers, share=share)
    weights = {name: layer.weight.numel() for name, layer in layers.items()}
    spared = sum(weights[name] for name in light)
    assert spared <= share * sum(weights.values()) + 1e-6
    carried = carried_sparsity(layers, light, sparsity=sparsity)
    assert carried * (sum(weights.values()) - spared) == pytest.approx(sparsity * sum(weights.values()))
