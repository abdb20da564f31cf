from __future__ import annotations

import pytest
import torch
from torch import nn

from torchseg.compress import ClusterConfig, cluster_weights
from torchseg.compress.layers import weight_layers


@pytest.mark.parametrize("gradient", ["sum", "mean"])
def test_the_gradient_of_a_value_is_the_sum_or_mean_over_its_members(gradient):
    network = nn.Sequential(nn.Linear(5, 1, bias=False))
    network[0].weight.data = torch.tensor([[0.0, 1.0, 1.0, 1.0, 4.0]])
    cluster_weights(network, ClusterConfig(clusters=2, gradient=gradient, per="tensor"))
    network(torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0]])).sum().backward()
    expected = [9.0, 5.0] if gradient == "sum" else [3.0, 5.0]
    assert network[0].parametrizations.weight.original.grad.tolist() == [expected]


def test_a_weight_changes_over_when_another_value_has_come_nearer():
    network = nn.Sequential(nn.Linear(4, 1, bias=False))
    network[0].weight.data = torch.tensor([[0.9, 1.4, 2.9, 3.0]])
    clustering = cluster_weights(network, ClusterConfig(clusters=2, reassign_every=3, per="tensor"))
    values = network[0].parametrizations.weight.original
    assert network[0].weight[0, 1] == values[0, 0]
    values.data = torch.tensor([[1.15, 1.6]])
    clustering.after_step(2, network)
    assert network[0].weight[0, 1] == values[0, 0]
    clustering.after_step(3, network)
    assert network[0].weight[0, 1] == values[0, 1]
    assert network[0].weight[0, 0] == values[0, 0]


def test_reassigning_never_touches_a_zero(network, train):
    for layer in weight_layers(network).values():
        layer.weight.data[0] = 0
    clustering = cluster_weights(network, ClusterConfig(clusters=3, reassign_every=1, per="tensor"))
    gone = {name: layer.weight == 0 for name, layer in weight_layers(network).items()}
    train(network, clustering, last=6)
    assert not any(network.get_submodule(name).weight[dead].any() for name, dead in gone.items())
