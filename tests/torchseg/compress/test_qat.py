from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from torchseg.compress import Int8Simulation, fake_quantize
from torchseg.compress.layers import channel_rows
from torchseg.train import MixedPrecision


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.ConvTranspose2d(4, 6, 2, stride=2, groups=2)
    )
    network[1].running_mean.uniform_(-0.5, 0.5)
    return network.eval()


@pytest.fixture
def images():
    return torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_weights_take_255_levels_a_channel_around_zero(network):
    Int8Simulation(network)
    for layer in (network[0], network[3]):
        rows = channel_rows(layer.weight.detach(), layer)
        codes = rows / rows.abs().amax(dim=1, keepdim=True) * 127
        assert torch.allclose(codes, codes.round(), atol=1e-3)


def test_the_largest_weight_of_a_channel_is_kept(network):
    before = channel_rows(network[3].weight.detach(), network[3]).abs().amax(dim=1)
    Int8Simulation(network)
    after = channel_rows(network[3].weight.detach(), network[3]).abs().amax(dim=1)
    assert torch.allclose(before, after)


def test_the_simulated_network_is_near_the_plain_one_but_not_it(network, images):
    expected = network(images).detach()
    simulation = Int8Simulation(network)
    simulation.observe(images)
    error = (network(images) - expected).detach().abs().max() / expected.abs().max()
    assert 0 < error < 0.05


def test_removing_it_leaves_plain_rounded_weights_under_their_old_names(network, images):
    names, before = set(network.state_dict()), copy.deepcopy(network)
    simulation = Int8Simulation(network)
    simulation.observe(images)
    rounded = network[0].weight.detach().clone()
    simulation.remove()
    assert set(network.state_dict()) == names
    assert torch.equal(network[0].weight, rounded)
    assert not network[0]._forward_pre_hooks
    before.load_state_dict(network.state_dict())
    assert torch.equal(before(images), network(images))


def test_rounding_a_rounded_network_again_changes_nothing(network, images):
    for _ in range(2):
        simulation = Int8Simulation(network)
        simulation.observe(images)
        weights = network[3].weight.detach().clone()
        simulation.remove()
        assert torch.allclose(network[3].weight, weights, atol=1e-7)


def test_training_moves_weights_but_neither_zeros_nor_the_statistics_of_batch_norm(network, images):
    with torch.no_grad():
        network[0].weight[0, 0] = 0
    simulation = Int8Simulation(network)
    simulation.observe(images)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1)
    for _ in range(3):
        network.train()
        network(images).square().mean().backward()
        optimizer.step()
    after = network.state_dict()
    assert torch.equal(before["1.running_mean"], after["1.running_mean"])
    assert not torch.equal(before["3.parametrizations.weight.original"], after["3.parametrizations.weight.original"])
    simulation.remove()
    assert (network[0].weight[0, 0] == 0).all()


def test_mixed_precision_leaves_levels_finer_than_its_own(network, images):
    simulation = Int8Simulation(network)
    simulation.observe(images)
    logits = MixedPrecision(network.train(), "bf16")(images)
    logits.sum().backward()
    assert logits.dtype == torch.float32
    assert logits.detach().unique().numel() > 16
    assert torch.isfinite(network[0].parametrizations.weight.original.grad).all()


def test_ranges_follow_the_pictures_in_training_and_rest_in_evaluation(network, images):
    simulation = Int8Simulation(network)
    simulation.observe(images)
    highest = network[0].int8_range.high.clone()
    network.eval()(images * 10)
    assert network[0].int8_range.high == highest
    network.train()(images * 10)
    assert highest < network[0].int8_range.high < 10 * highest


@given(st.integers(0, 2**16), st.floats(0.05, 10))
def test_a_value_moves_by_half_a_level_at_most(seed, step):
    values = torch.randn(50, generator=torch.Generator().manual_seed(seed))
    scale = torch.tensor(step)
    rounded = fake_quantize(values, scale=scale, low=-200 * scale, high=200 * scale)
    assert ((rounded - values).abs() <= step * 0.5001).all()
    assert torch.allclose(rounded / scale, (rounded / scale).round(), atol=1e-3)


def test_what_lies_beyond_the_range_is_cut_off():
    values = torch.tensor([-3.0, 0.2, 9.0])
    rounded = fake_quantize(values, scale=torch.tensor(0.5), low=-1.0, high=2.0)
    assert rounded.tolist() == [-1.0, 0.0, 2.0]


def test_the_gradient_passes_inside_the_range_and_stops_outside():
    values = torch.tensor([-3.0, 0.2, 9.0], requires_grad=True)
    fake_quantize(values, scale=torch.tensor(0.5), low=-1.0, high=2.0).sum().backward()
    assert values.grad.tolist() == [0.0, 1.0, 0.0]
