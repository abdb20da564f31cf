import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from torchseg.compress import ClusterConfig, cluster_weights
from torchseg.compress.scaled_values import scaled_values

config = ClusterConfig(per="scaled")


def test_rows_that_are_multiples_of_the_same_values_are_found_exactly():
    rng = np.random.default_rng(0)
    table, factors = np.array([-3.0, -1.0, 0.5, 2.0]), np.array([[0.01], [1.0], [50.0]])
    rows = (factors * rng.choice(table, (3, 400))).astype(np.float32)
    values, found = scaled_values(rows, config, clusters=4)
    assert values / values[-1] == pytest.approx(table / table[-1], rel=1e-5)
    assert found[:, 0] / found[1, 0] == pytest.approx(factors[:, 0], rel=1e-5)


def test_channels_of_different_scale_lose_less_than_with_one_set_of_values_for_the_tensor():
    network = nn.Sequential(nn.Conv2d(16, 8, 3))
    network[0].weight.data *= 2.0 ** torch.arange(8)[:, None, None, None]
    errors = {}
    for per in ("tensor", "scaled"):
        clustered = copy.deepcopy(network)
        cluster_weights(clustered, ClusterConfig(clusters=6, per=per))
        before, after = (each[0].weight.detach().flatten(1) for each in (network, clustered))
        errors[per] = float(((after - before).norm(dim=1) / before.norm(dim=1)).mean())
    assert errors["scaled"] < 0.5 * errors["tensor"]


@given(st.integers(1, 6), st.integers(1, 40), st.integers(1, 12), st.sampled_from([0, 0.5, 1]), st.integers(0, 2**31))
def test_any_rows_give_finite_values_and_positive_factors(channels, length, clusters, zeros, seed):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((channels, length)) * rng.uniform(0.1, 10, (channels, 1))
    rows = (rows * (rng.random(rows.shape) >= zeros)).astype(np.float32)
    values, factors = scaled_values(rows, config, clusters=clusters)
    assert values.shape == (clusters,)
    assert factors.shape == (channels, 1)
    assert np.isfinite(values).all()
    assert (factors > 0).all()
    assert (factors[~rows.any(axis=1)] == 1).all()


def test_factors_are_kept_in_the_state_and_are_not_trained():
    network = nn.Sequential(nn.ConvTranspose2d(4, 6, 2, groups=2), nn.Linear(3, 5))
    cluster_weights(network, ClusterConfig(clusters=3, per="scaled"))
    shapes = {name: tuple(each.shape) for name, each in network.named_parameters() if "weight" in name}
    assert set(shapes.values()) == {(1, 3)}
    factors = [each for name, each in network.state_dict().items() if name.endswith("factors")]
    assert [tuple(each.shape) for each in factors] == [(4, 3, 2, 2), (5, 3)]
