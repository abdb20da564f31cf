from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrize

from torchseg.compress import ClusterConfig, PruneConfig, Pruning, ScheduleConfig, cluster_weights, strip_clustering
from torchseg.compress.codebook import STARTS
from torchseg.compress.layers import channel_rows, weight_layers

each_per = pytest.mark.parametrize("per", ["tensor", "channel", "scaled"])


def _pruned(network, sparsity=0.6):
    config = PruneConfig(sparsity=sparsity, schedule=ScheduleConfig(mode="one_shot"))
    Pruning(network, config, epochs=1, steps_per_epoch=1).after_step(0, network)
    return network


def _most_values(network, per):
    """Distinct values, zero left out, of the layer that has most."""
    most = 0
    for layer in weight_layers(network).values():
        rows = layer.weight.detach().reshape(1, -1) if per == "tensor" else channel_rows(layer.weight.detach(), layer)
        most = max([most, *(int(row[row != 0].unique().numel()) for row in rows)])
    return most


@st.composite
def layers(draw):
    """A layer of arbitrary shape with clumped, sparse or all-zero weights."""
    inputs, outputs, side = draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.integers(1, 3))
    make = draw(st.sampled_from([nn.Conv2d, nn.ConvTranspose2d, nn.Linear]))
    layer = make(inputs, outputs) if make is nn.Linear else make(inputs, outputs, side)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    weight = torch.randn(layer.weight.shape, generator=generator)
    if draw(st.booleans()):
        weight = weight.round()
    layer.weight.data = weight * (torch.rand(weight.shape, generator=generator) >= draw(st.sampled_from([0, 0.5, 1])))
    return nn.Sequential(layer)


def _configs(*per):
    return st.builds(
        ClusterConfig,
        clusters=st.integers(1, 20),
        per=st.sampled_from(per),
        start=st.sampled_from(list(STARTS)),
        preserve_sparsity=st.booleans(),
    )


configs = _configs("tensor", "channel", "scaled")


@given(layers(), configs)
def test_zeros_stay_zero_and_there_are_at_most_k_values(network, config):
    before = network[0].weight.detach().clone()
    cluster_weights(network, config)
    strip_clustering(network)
    after = network[0].weight.detach()
    rows = after.reshape(1, -1) if config.counted_per == "tensor" else channel_rows(after, network[0])
    for row in rows:
        assert (row[row != 0] if config.preserve_sparsity else row).unique().numel() <= config.clusters
    if config.preserve_sparsity:
        assert not after[before == 0].any()


@given(layers(), _configs("tensor", "channel"))
def test_clustering_twice_changes_nothing(network, config):
    seen = []
    for _ in range(2):
        cluster_weights(network, config)
        strip_clustering(network)
        seen.append(network[0].weight.detach().clone())
    assert torch.equal(*seen)


@given(layers(), configs)
def test_every_weight_has_the_value_that_is_nearest(network, config):
    before = network[0].weight.detach().clone()
    clustering = cluster_weights(network, config)
    values = network[0].parametrizations.weight.original[:, None]  # (R, 1, k)
    factors = network[0].parametrizations.weight[0].factors
    values = values if factors is None else channel_rows(factors, network[0])[:, :1, None] * values
    rows, after = (
        weight.reshape(1, -1) if config.per == "tensor" else channel_rows(weight, network[0])
        for weight in (before, network[0].weight.detach())
    )
    best = (rows[:, :, None] - values).abs().amin(dim=2)
    alive = (rows != 0) | (not config.preserve_sparsity)
    assert torch.allclose((rows - after).abs()[alive], best[alive], atol=1e-6)
    frozen = network[0].weight.detach().clone()
    clustering.after_step(clustering.config.reassign_every, network)
    assert torch.allclose(network[0].weight, frozen, atol=1e-6)


@each_per
def test_optimizing_moves_shared_values_and_keeps_the_promise(network, train, per):
    gone = {name: layer.weight == 0 for name, layer in weight_layers(_pruned(network)).items()}
    clustering = cluster_weights(network, ClusterConfig(clusters=6, per=per, reassign_every=4))
    first = train(network, clustering, last=1)
    assert train(network, clustering, last=20) < first
    strip_clustering(network)
    assert _most_values(network, per) <= 6
    assert not any(network.get_submodule(name).weight[dead].any() for name, dead in gone.items())


@each_per
def test_stripping_gives_plain_weights_and_the_same_logits(network, images, per):
    names = list(network.state_dict())
    cluster_weights(network, ClusterConfig(clusters=4, per=per))
    network.eval()
    logits = network(images)
    strip_clustering(network)
    assert torch.equal(network(images), logits)
    assert sorted(network.state_dict()) == sorted(names)
    assert all(isinstance(layer.weight, nn.Parameter) for layer in weight_layers(network).values())


def test_the_parameters_are_the_shared_values(network):
    cluster_weights(network, ClusterConfig(clusters=4, per="tensor"))
    shapes = [tuple(p.shape) for name, p in network.named_parameters() if "original" in name]
    assert set(shapes) == {(1, 4)}
    assert "head.weight" not in dict(network.named_parameters())


def test_a_clustered_training_goes_on_where_it_stopped(network, train):
    config = ClusterConfig(clusters=5, reassign_every=4, per="tensor")
    clustering, start = cluster_weights(network, config), copy.deepcopy(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    train(network, clustering, last=6, optimizer=optimizer)
    weights, moments = copy.deepcopy(network.state_dict()), copy.deepcopy(optimizer.state_dict())
    train(network, clustering, first=7, last=12, optimizer=optimizer)

    optimizer = torch.optim.AdamW(start.parameters(), lr=1e-2)
    start.load_state_dict(weights)
    optimizer.load_state_dict(moments)
    train(start, clustering, first=7, last=12, optimizer=optimizer)
    assert all(torch.equal(tensor, start.state_dict()[name]) for name, tensor in network.state_dict().items())


def test_a_kept_zero_spends_no_value():
    network = nn.Sequential(nn.Linear(6, 1, bias=False))
    network[0].weight.data = torch.tensor([[0.0, 0.0, 1.0, 2.0, 3.0, -4.0]])
    cluster_weights(network, ClusterConfig(clusters=4, per="tensor"))
    assert network[0].weight.tolist() == [[0.0, 0.0, 1.0, 2.0, 3.0, -4.0]]


def test_one_weight_and_all_zero_layers_can_be_clustered():
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Conv2d(2, 3, 3))
    nn.init.zeros_(network[1].weight)
    only = network[0].weight.item()
    cluster_weights(network, ClusterConfig(clusters=256, per="channel"))
    strip_clustering(network)
    assert network[0].weight.item() == only
    assert not network[1].weight.any()


def test_single_layers_can_differ_or_be_left_out(network):
    cluster_weights(network, ClusterConfig(clusters=4, layers={"decode.0.0": 2}, exclude=("head",), per="tensor"))
    strip_clustering(network)
    assert network.decode[0][0].weight.unique().numel() == 2
    assert network.decode[0][3].weight.unique().numel() == 4
    assert network.head.weight.unique().numel() > 4


def test_stripping_finds_a_value_that_is_not_finite_and_leaves_the_network_alone(network):
    cluster_weights(network, ClusterConfig(clusters=16, per="tensor"))
    network.head.parametrizations.weight.original.data.fill_(float("nan"))
    with pytest.raises(ValueError, match="a shared value of 'head' is not finite"):
        strip_clustering(network)
    assert parametrize.is_parametrized(network.head, "weight")


def test_stripping_finds_a_broken_promise(network):
    cluster_weights(network, ClusterConfig(clusters=2, per="tensor"))
    network.head.parametrizations.weight[0].clusters = 1
    with pytest.raises(ValueError, match="'head' has 2 values per tensor, promised were 1"):
        strip_clustering(network)


def test_stripping_or_clustering_at_the_wrong_time_is_refused(network):
    with pytest.raises(ValueError, match="no clustered layer; prepare it with cluster_weights"):
        strip_clustering(network)
    cluster_weights(network, ClusterConfig(clusters=16, per="tensor"))
    with pytest.raises(ValueError, match="is clustered already; strip the clustering"):
        cluster_weights(network, ClusterConfig(clusters=16, per="tensor"))
    with pytest.raises(ValueError, match="is computed, not stored; strip its clustering before pruning"):
        _pruned(network)


def test_a_weight_that_is_not_finite_is_refused_with_its_name(network):
    network.head.weight.data[0] = float("nan")
    with pytest.raises(ValueError, match=r"layer 'head': .* not all finite"):
        cluster_weights(network, ClusterConfig(clusters=16, per="tensor"))


def test_an_unknown_layer_is_answered_with_near_names(network):
    with pytest.raises(ValueError, match=r"no layer 'haed' \(did you mean 'head'\?\)"):
        cluster_weights(network, ClusterConfig(clusters=16, exclude=("haed",), per="tensor"))
    with pytest.raises(ValueError, match="nothing to cluster"):
        cluster_weights(nn.Sequential(nn.Linear(1, 1)), ClusterConfig(clusters=16, exclude=("0",), per="tensor"))
