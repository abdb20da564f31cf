"""Finds values that a whole weight tensor shares, and the factor of each output channel that they are multiplied by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from torchseg.compress.codebook import ClusterConfig, cluster_values

Numbers = NDArray[np.float64]
Weights = NDArray[np.float32]

_ROUNDS = 30


def scaled_values(rows: NDArray[np.floating], config: ClusterConfig, *, clusters: int) -> tuple[Weights, Weights]:
    """Values `(k,)` and factors `(C_out, 1)`, such that each weight is near one of the values times its row's factor.

    Channels are weighed alike, whatever their scale, because a norm behind the layer evens out the scales. The values
    start as those of all rows divided by their root mean square. Then factors, nearest values and values are adapted in
    turn, each to the other two, which never makes the sum of squared distances larger.

    Args:
        rows: weights, one row per output channel, `(C_out, N)`, finite.
        config: initial values, and whether zeros are left out.
        clusters: number of values k.

    Returns:
        Float32; the values ascending, the last one repeated if fewer do. A row of zeros has factor 1.
    """
    weights = rows.astype(np.float64)
    counted = weights != 0 if config.preserve_sparsity else np.ones(weights.shape, bool)
    scale = np.sqrt((weights**2).sum(axis=1) / np.maximum(counted.sum(axis=1), 1))[:, None]
    scale[scale == 0] = 1
    even = weights / scale
    factors = np.ones_like(scale)
    values = np.zeros(1)
    if counted.any():
        values = cluster_values(even[counted], clusters, start=config.start, seed=config.seed)
        values, factors = _adapted(even, counted, values)
    values = np.append(values, np.full(clusters - len(values), values[-1]))
    return values.astype(np.float32), (factors * scale).astype(np.float32)


def _adapted(even: Numbers, counted: NDArray[np.bool_], values: Numbers) -> tuple[Numbers, Numbers]:
    factors = np.ones((len(even), 1))
    for _ in range(_ROUNDS):
        nearest = _nearest(even / factors, values)
        own = values[nearest] * counted
        squares = (own**2).sum(axis=1, keepdims=True)
        products = (even * own).sum(axis=1, keepdims=True)
        factors = np.divide(products, squares, out=factors, where=products > 0)
        members, factor = nearest[counted], np.broadcast_to(factors, even.shape)[counted]
        shares = np.bincount(members, weights=factor**2, minlength=len(values))
        sums = np.bincount(members, weights=factor * even[counted], minlength=len(values))
        before, values = values, np.sort(np.divide(sums, shares, out=values.copy(), where=shares > 0))
        if np.allclose(before, values, rtol=1e-6, atol=0):
            break
    return values, factors


def _nearest(numbers: Numbers, values: Numbers) -> NDArray[np.int64]:
    return np.searchsorted((values[1:] + values[:-1]) / 2, numbers)
