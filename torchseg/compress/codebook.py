"""The few values that weights share: how many and how they are found, by one-dimensional k-means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Start = Literal["optimal", "density", "linear", "kmeans++"]
Numbers = NDArray[np.float64]

MAX_CLUSTERS = 256
WORK = 2**18  # a quarter of a second in `kmeans1d`, which takes about a microsecond for each point and cluster
_ROUNDS = 100


def cluster_values(
    numbers: NDArray[np.floating], clusters: int, *, start: Start = "optimal", seed: int = 0, work: int = WORK
) -> Numbers:
    """At most `clusters` values with a small mean squared distance from each number to its nearest value.

    Every start is refined by Lloyd's rounds until nothing moves, on all numbers; a value that ends up with no number
    near it is put to use elsewhere. `optimal` is exact up to
    `work / clusters` numbers; above that it solves as many means of equally large groups of neighbours exactly,
    refines, and is never worse than the other starts. Numbers that take no more than `clusters` values are their own
    solution, so clustering twice changes nothing. Time grows as sorting does.

    Args:
        numbers: any shape, finite, at least one.
        clusters: between 1 and 256.
        start: initial values. linear: evenly spaced from smallest to largest; density: each stands for as many numbers;
            kmeans++: drawn far apart (Arthur and Vassilvitskii, 2007); optimal: arXiv:1701.07204, by `kmeans1d`.
        seed: of kmeans++.
        work: points times clusters that an exact solution may cost.

    Returns:
        Distinct values, float64 that float32 holds exactly, ascending.

    Raises:
        ValueError: if `clusters` or `start` is out of range, or a number is not finite.
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
    """Raises ValueError unless the number of values is between 1 and 256, what a code of one byte can tell apart."""
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
    """Of a few draws for each value the one that leaves the smallest distances is kept, as the paper advises."""
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
    """Where in the sorted numbers the members of each value begin, and where the last ones end."""
    edges = np.zeros(len(values) + 1, np.int64)
    edges[1:-1] = ordered.searchsorted((values[1:] + values[:-1]) / 2)
    edges[-1] = len(ordered)
    return edges


def _refine(values: Numbers, clusters: int, ordered: Numbers, sums: Numbers) -> Numbers:
    """Lloyd's algorithm; values that nobody is near go where the numbers are furthest from theirs."""
    values = _settle(np.unique(values), ordered, sums)
    for _ in range(_ROUNDS):
        missing = clusters - len(values)
        if missing == 0:
            break
        values = _settle(_split(values, missing, ordered, sums), ordered, sums)
    return values


def _settle(values: Numbers, ordered: Numbers, sums: Numbers) -> Numbers:
    """Rounds of k searches among sorted numbers, until nothing moves. Values that nobody is near are dropped."""
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
    """Makes two values of each of the `most` with the largest scatter: the means of its members to either side."""
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
    """Sum of squared distances, up to the part that is the same for all values."""
    edges = _edges(values, ordered)
    members = np.diff(edges)
    return float((members * values**2 - 2 * values * np.diff(sums[edges])).sum())


def _as_float32(values: Numbers) -> Numbers:
    return np.unique(values.astype(np.float32)).astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class ClusterConfig:
    """How many values the weights share, and how these are found and trained.

    Attributes:
        clusters: values per tensor or output channel, 1 to 256; a kept zero is not one of them.
        per: what shares one set of values: a whole tensor, or each of its output channels.
        start: how the values are found: optimal, density, linear or kmeans++.
        preserve_sparsity: every zero stays zero and spends no value.
        gradient: of a value: the sum or the mean over its members.
        reassign_every: optimizer steps after which weights change over to a nearer value; 0: never.
        op_types: kinds of layers: Conv2d, ConvTranspose2d, Linear, or default for all of these.
        exclude: layers, or blocks of them, that keep their weights.
        layers: number of values of single layers that differ, by name.
        seed: of kmeans++.
    """

    clusters: int = 16
    per: Literal["tensor", "channel"] = "tensor"
    start: Start = "optimal"
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
            ("per", self.per, ("tensor", "channel")),
            ("start", self.start, tuple(STARTS)),
            ("gradient", self.gradient, ("sum", "mean")),
        ):
            if value not in known:
                raise ValueError(f"{name} is '{value}'; choose from {', '.join(known)}")
        if self.reassign_every < 0:
            raise ValueError(f"reassign_every is {self.reassign_every}; give a number of steps, or 0 for never")
