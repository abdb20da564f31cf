"""Finds the values that clustered weights share, by one-dimensional k-means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from torchseg.compression_defaults import CLUSTER_PER, CLUSTER_START, CLUSTERS

Start = Literal["optimal", "density", "linear", "kmeans++"]
Numbers = NDArray[np.float64]

MAX_CLUSTERS = 256
WORK = 2**18  # a quarter of a second in `kmeans1d`, which takes about a microsecond per point and cluster
_ROUNDS = 100


def cluster_values(
    numbers: NDArray[np.floating], clusters: int, *, start: Start = CLUSTER_START, seed: int = 0, work: int = WORK
) -> Numbers:
    """Finds at most `clusters` values with a small mean squared distance from each number to its nearest value.

    Lloyd's algorithm refines the initial values on all numbers until nothing changes; a value that no number is nearest
    to moves elsewhere. `optimal` is exact for up to `work / clusters` numbers. Above that, it solves the problem
    exactly for that many means of equally large groups of neighbouring numbers, refines the result, and returns the
    best of all starts. Numbers with at most `clusters` distinct values are returned as they are, so clustering twice
    changes nothing. Run time grows like that of sorting.

    Args:
        numbers: any shape, finite, at least one.
        clusters: between 1 and 256.
        start: initial values. linear: evenly spaced from smallest to largest; density: each for the same number of
            numbers; kmeans++: drawn far apart (Arthur and Vassilvitskii, 2007); optimal: arXiv:1701.07204, by
            `kmeans1d`.
        seed: of kmeans++.
        work: limit on points times clusters for an exact solution.

    Returns:
        Distinct values in ascending order, `(k,)` with k <= `clusters`, float64 but exact in float32.

    Raises:
        ValueError: if `clusters` or `start` is not valid, or a number is not finite.
    """
    check_clusters(clusters)
    if start not in STARTS:
        raise ValueError(f"start is '{start}'; choose from {', '.join(STARTS)}")
    ordered = np.sort(np.asarray(numbers, np.float64).ravel())
    if not len(ordered) or not np.isfinite(ordered[[0, -1]]).all():
        raise ValueError(
            f"{len(ordered)} numbers that are not all finite; give at least one, and none that is NaN or infinite"
        )
    changes = np.flatnonzero(np.diff(ordered))
    if len(changes) < clusters:
        return _as_float32(ordered[np.append(changes, len(ordered) - 1)])
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    points = _thinned(ordered, max(work // clusters, 8 * clusters))
    names = STARTS if start == "optimal" and len(points) < len(ordered) else (start,)
    first = (STARTS[name](points, clusters, np.random.default_rng(seed)) for name in names)
    tried = [_refine(values, clusters, ordered, sums) for values in first]
    return _as_float32(min(tried, key=lambda values: _scatter(values, ordered, sums)))


def check_clusters(clusters: int) -> None:
    """Raises ValueError unless the number of values is between 1 and 256, so that a code fits in one byte."""
    if not 1 <= clusters <= MAX_CLUSTERS:
        raise ValueError(f"clusters is {clusters}; give between 1 and {MAX_CLUSTERS}, e.g. 16")


def _optimal(points: Numbers, clusters: int, rng: np.random.Generator) -> Numbers:
    try:
        import kmeans1d  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise ImportError(
            "optimal clustering needs kmeans1d: pip install 'torchseg-compress[compress]', or choose start density"
        ) from error
    return np.asarray(kmeans1d.cluster(points.tolist(), clusters).centroids)


def _linear(points: Numbers, clusters: int, rng: np.random.Generator) -> Numbers:
    return np.linspace(points[0], points[-1], clusters)


def _density(points: Numbers, clusters: int, rng: np.random.Generator) -> Numbers:
    return points[(2 * np.arange(clusters) + 1) * len(points) // (2 * clusters)]


def _kmeans_plus_plus(points: Numbers, clusters: int, rng: np.random.Generator) -> Numbers:
    """Greedy kmeans++: draws a few candidates per value and keeps the best of them, as the paper advises."""
    values = [rng.choice(points)]
    distances = (points - values[0]) ** 2
    draws = 2 + int(np.log(clusters))
    while len(values) < clusters and distances.any():
        drawn = rng.choice(points, size=draws, p=distances / distances.sum())
        left = np.minimum(distances, (points - drawn[:, None]) ** 2)  # (draws, N)
        best = int(left.sum(axis=1).argmin())
        values.append(drawn[best])
        distances = left[best]
    return np.asarray(values)


STARTS: Mapping[Start, Callable[[Numbers, int, np.random.Generator], Numbers]] = {
    "optimal": _optimal,
    "density": _density,
    "linear": _linear,
    "kmeans++": _kmeans_plus_plus,
}


def _thinned(ordered: Numbers, most: int) -> Numbers:
    """Means of at most `most` equally large groups of neighbours."""
    if len(ordered) <= most:
        return ordered
    edges = np.linspace(0, len(ordered), most + 1).astype(np.int64)
    means: Numbers = np.add.reduceat(ordered, edges[:-1]) / np.diff(edges)
    return means


def _edges(values: Numbers, ordered: Numbers) -> NDArray[np.int64]:
    """Index in the sorted numbers of the first member of each value, and the end: int64 `(k + 1,)`."""
    edges = np.zeros(len(values) + 1, np.int64)
    edges[1:-1] = ordered.searchsorted((values[1:] + values[:-1]) / 2)
    edges[-1] = len(ordered)
    return edges


def _refine(values: Numbers, clusters: int, ordered: Numbers, sums: Numbers) -> Numbers:
    """Lloyd's algorithm; a value without members is replaced by splitting the cluster with the largest scatter."""
    values = _settle(np.unique(values), ordered, sums)
    for _ in range(_ROUNDS):
        missing = clusters - len(values)
        if missing == 0:
            break
        values = _settle(_split(values, missing, ordered, sums), ordered, sums)
    return values


def _settle(values: Numbers, ordered: Numbers, sums: Numbers) -> Numbers:
    """Repeats Lloyd's step, k searches in the sorted numbers, until nothing changes; drops values without members."""
    before = np.zeros(0, np.int64)
    for _ in range(_ROUNDS):
        edges = _edges(values, ordered)
        if len(edges) == len(before) and (edges == before).all():
            break
        members = edges[1:] - edges[:-1]
        if not members.all():
            edges = edges[np.append(True, members > 0)]
            members = members[members > 0]
        upto = sums[edges]
        values, before = (upto[1:] - upto[:-1]) / members, edges
    return values


def _split(values: Numbers, most: int, ordered: Numbers, sums: Numbers) -> Numbers:
    """Splits the `most` clusters with the largest scatter in two: each at its mean, with a new mean on either side."""
    edges = np.unique(_edges(values, ordered))
    members = np.diff(edges)
    means = np.diff(sums[edges]) / members
    scatter = np.add.reduceat((ordered - np.repeat(means, members)) ** 2, edges[:-1])
    mixed = np.flatnonzero(ordered[edges[:-1]] < ordered[edges[1:] - 1])
    chosen = mixed[scatter[mixed].argsort()[::-1][:most]]
    middle = ordered.searchsorted(means[chosen]).clip(edges[chosen] + 1, edges[chosen + 1] - 1)
    edges = np.unique(np.append(edges, middle))
    return np.unique(np.diff(sums[edges]) / np.diff(edges))


def _scatter(values: Numbers, ordered: Numbers, sums: Numbers) -> float:
    """Sum of squared distances, up to a term that does not depend on the values."""
    edges = _edges(values, ordered)
    members = np.diff(edges)
    return float((members * values**2 - 2 * values * np.diff(sums[edges])).sum())


def _as_float32(values: Numbers) -> Numbers:
    return np.unique(values.astype(np.float32)).astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class ClusterConfig:
    """Settings of weight clustering: number of values, how they are found, and how they are trained.

    Attributes:
        clusters: values per tensor or output channel, 1 to 256; a preserved zero does not count.
        per: what shares one set of values: a whole weight tensor, each of its output channels, or the tensor with a
            factor for each of its output channels (scaled).
        start: how the initial values are found: optimal, density, linear or kmeans++.
        preserve_sparsity: whether zeros stay zero and do not count as a value.
        gradient: gradient of a value: the sum or the mean over its members.
        reassign_every: number of optimizer steps between two reassignments of weights to their nearest value; 0: never.
        op_types: layer types: Conv2d, ConvTranspose2d, Linear, or default for all of these.
        exclude: names of layers or blocks that are not clustered.
        layers: number of values of single layers, by name, in place of `clusters`.
        seed: of kmeans++.
    """

    clusters: int = CLUSTERS
    per: Literal["tensor", "channel", "scaled"] = CLUSTER_PER
    start: Start = CLUSTER_START
    preserve_sparsity: bool = True
    gradient: Literal["sum", "mean"] = "sum"
    reassign_every: int = 50
    op_types: tuple[str, ...] = ("default",)
    exclude: tuple[str, ...] = ()
    layers: Mapping[str, int] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        for clusters in (self.clusters, *self.layers.values()):
            check_clusters(clusters)
        for name, value, known in (
            ("per", self.per, ("tensor", "channel", "scaled")),
            ("start", self.start, tuple(STARTS)),
            ("gradient", self.gradient, ("sum", "mean")),
        ):
            if value not in known:
                raise ValueError(f"{name} is '{value}'; choose from {', '.join(known)}")
        if self.reassign_every < 0:
            raise ValueError(f"reassign_every is {self.reassign_every}; give a number of steps, or 0 for never")

    @property
    def counted_per(self) -> Literal["tensor", "channel"]:
        """What has at most `clusters` distinct weights: scaled values differ between the channels of a tensor."""
        return "tensor" if self.per == "tensor" else "channel"
