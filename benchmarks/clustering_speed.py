"""Checks the speed of clustering: a million weights in under a second, and growth no faster than n log n.

Measures `cluster_weights` and `strip_clustering` on one layer of 2^14 to 2^21 normally distributed weights, with k = 16
and one thread; times are minima of process time. Exits with 1 if a million weights take a second or more, or if time
grows faster than n log n: the slope of log time over log (n log n), fitted over all sizes and over the largest four,
may be at most 1.05.

    python benchmarks/clustering_speed.py
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
import torch
from torch import nn

from torchseg.compress import ClusterConfig, cluster_weights, strip_clustering
from torchseg.compress.codebook import STARTS, Start
from torchseg.harness.host import cpu_name

POWERS = range(14, 22)
MILLION = 20  # 2^20 is slightly more than a million
SLOPE = 1.05  # 1 plus a margin for noise


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clusters", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"seconds, k = {arguments.clusters}, minimum of {arguments.repeats}, 1 thread, {cpu_name()}")
    print(f"{'start':9}", *(f"2^{power:<5}" for power in POWERS), "slope  slope of the largest four", sep="  ")
    _seconds(2 ** POWERS[0], "optimal", arguments.clusters)  # warm-up: imports
    passed = True
    for start in STARTS:
        taken = [
            min(_seconds(2**power, start, arguments.clusters) for _ in range(arguments.repeats)) for power in POWERS
        ]
        slopes = _slope(taken), _slope(taken[-4:])
        print(f"{start:9}", *(f"{each:7.3f}" for each in taken), f"{slopes[0]:5.2f}  {slopes[1]:5.2f}", sep="  ")
        passed &= taken[POWERS.index(MILLION)] < 1 and max(slopes) <= SLOPE
    return 0 if passed else 1


def _seconds(count: int, start: Start, clusters: int) -> float:
    layer = nn.Linear(1024, count // 1024, bias=False)
    nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(0))
    network = nn.Sequential(layer)
    started = time.process_time()
    cluster_weights(network, ClusterConfig(clusters=clusters, start=start, per="tensor"))
    strip_clustering(network)
    return time.process_time() - started


def _slope(taken: list[float]) -> float:
    """Slope of log time over log (n log n), for the `len(taken)` largest sizes."""
    powers = np.array(POWERS[-len(taken) :], float)
    return float(np.polyfit(np.log(2.0**powers * powers), np.log(taken), 1)[0])


if __name__ == "__main__":
    sys.exit(main())
