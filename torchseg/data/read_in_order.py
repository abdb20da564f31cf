"""Reads a whole data set once, on every core."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import torch

from torchseg.data.held_samples import HeldSamples
from torchseg.data.sample import Sample, Samples

FEW_SAMPLES = 64  # that are read before another process would have started
_BLOCK, _CHUNK = 256, 8  # samples in memory at a time; samples that a process is handed at once

_samples: Samples  # of a reading process


def read_in_order(samples: Samples, *, processes: int) -> Iterator[Sample]:
    """Every sample, in the order of its index; what reading one raises is raised here.

    Args:
        samples: to be read.
        processes: that read; 1 reads in this one, which is quicker for fewer than `FEW_SAMPLES`.
    """
    if isinstance(samples, HeldSamples):  # each is read once: what would be kept, in every process, nobody asks for
        samples = samples.samples
    count = len(samples)
    if processes == 1:
        yield from (samples[index] for index in range(count))
        return
    with ProcessPoolExecutor(processes, initializer=_start, initargs=(samples,)) as pool:
        for start in range(0, count, _BLOCK):
            yield from pool.map(_read, range(start, min(start + _BLOCK, count)), chunksize=_CHUNK)


def _start(samples: Samples) -> None:
    global _samples
    _samples = samples
    torch.set_num_threads(1)  # the processes share the cores already


def _read(index: int) -> Sample:
    return _samples[index]
