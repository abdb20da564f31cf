from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchseg.compress import ClusterConfig
from torchseg.compress.codebook import STARTS, cluster_values

starts = st.sampled_from(list(STARTS))


def _heavy_tailed(seed, count):
    """Many small numbers and a few large ones: where starts differ, and a poor one leaves values unused."""
    return (np.random.default_rng(seed).laplace(size=count) ** 3).astype(np.float32)


heavy_tailed = st.builds(_heavy_tailed, st.integers(0, 2**31), st.integers(20, 200))
numbers = heavy_tailed | st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=60).map(
    lambda found: np.array(found, np.float32)
)


def _nearest(of, values):
    return values[np.abs(of.ravel()[:, None] - values).argmin(axis=1)]


def _error(of, values):
    return float(np.mean((of.ravel().astype(np.float64) - _nearest(of, values)) ** 2))


@given(numbers, st.integers(1, 20), starts, st.integers(0, 5))
def test_there_are_at_most_k_values_in_order_within_the_range(found, clusters, start, seed):
    values = cluster_values(found, clusters, start=start, seed=seed)
    assert 1 <= len(values) <= clusters
    assert (np.diff(values) > 0).all()
    assert np.array_equal(values, values.astype(np.float32))
    assert values[0] >= found.min()
    assert values[-1] <= found.max()


@given(numbers, st.integers(1, 20), starts)
def test_clustering_twice_changes_nothing(found, clusters, start):
    values = cluster_values(found, clusters, start=start)
    assert set(cluster_values(_nearest(found, values), clusters, start=start)) <= set(values)


@given(numbers, st.integers(1, 12), st.sampled_from([1, 2**18]))
def test_optimal_is_never_worse_than_the_others(found, clusters, work):
    errors = {start: _error(found, cluster_values(found, clusters, start=start, work=work)) for start in STARTS}
    assert errors["optimal"] <= min(errors.values()) * (1 + 1e-6) + 1e-9


def test_beyond_the_exact_limit_the_best_of_all_starts_is_taken():
    found = _heavy_tailed(5, 140)
    errors = {start: _error(found, cluster_values(found, 6, start=start, work=1)) for start in STARTS}
    assert errors["optimal"] == min(errors.values()) < max(errors.values())


@given(numbers, starts)
def test_numbers_with_few_distinct_values_are_their_own_solution(found, start):
    distinct = np.unique(found)
    assert np.array_equal(cluster_values(found, len(distinct), start=start), distinct)
    assert np.array_equal(cluster_values(found, 256, start=start), distinct)


@given(numbers, starts)
def test_one_cluster_is_the_mean(found, start):
    assert cluster_values(found, 1, start=start)[0] == pytest.approx(found.mean(dtype=np.float64), abs=1e-5)


def test_two_clumps_are_found_from_every_start():
    clumps = np.array([-1.1, -1.0, -0.9, 3.9, 4.0, 4.1], np.float32)
    for start in STARTS:
        assert cluster_values(clumps, 2, start=start) == pytest.approx([-1, 4], abs=1e-6)


@pytest.mark.parametrize("draw", ["normal", "laplace"])
def test_beyond_the_exact_limit_little_is_lost(draw):
    found = getattr(np.random.default_rng(0), draw)(size=6000).astype(np.float32)
    exact = _error(found, cluster_values(found, 16))
    assert _error(found, cluster_values(found, 16, work=2**13)) < exact * 1.01


@given(heavy_tailed, st.integers(1, 40), starts)
def test_no_value_is_wasted_while_numbers_differ(found, clusters, start):
    assert len(cluster_values(found, clusters, start=start)) == min(clusters, len(np.unique(found)))


def test_kmeans_plus_plus_depends_on_its_seed_alone():
    found = np.random.default_rng(0).normal(size=500)
    first, again, other = (cluster_values(found, 8, start="kmeans++", seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("clusters", [0, -1, 257])
def test_a_number_of_clusters_outside_the_range_is_refused(clusters):
    with pytest.raises(ValueError, match=f"clusters is {clusters}; give between 1 and 256"):
        cluster_values(np.ones(3), clusters)


@pytest.mark.parametrize("found", [[1, float("nan")], [float("-inf"), 1], []])
def test_numbers_that_are_not_finite_are_refused(found):
    with pytest.raises(ValueError, match="not all finite"):
        cluster_values(np.array(found), 2)


def test_an_unknown_start_is_refused():
    with pytest.raises(ValueError, match="start is 'best'; choose from optimal, density"):
        cluster_values(np.ones(3), 2, start="best")


def test_a_missing_kmeans1d_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "kmeans1d", None)
    with pytest.raises(ImportError, match="optimal clustering needs kmeans1d"):
        cluster_values(np.arange(9), 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clusters": 0}, "clusters is 0; give between 1 and 256"),
        ({"clusters": 257}, "clusters is 257"),
        ({"layers": {"head": 0}}, "clusters is 0"),
        ({"per": "row"}, "per is 'row'; choose from tensor, channel"),
        ({"start": "best"}, "start is 'best'"),
        ({"gradient": "max"}, "gradient is 'max'"),
        ({"reassign_every": -1}, "reassign_every is -1"),
    ],
)
def test_a_setting_out_of_range_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ClusterConfig(**settings)
