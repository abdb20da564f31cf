"""The threads of a training: how many compute at a time, and how many each operator uses."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch


@contextmanager
def thread_pool(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Runs PyTorch calls in parallel, each on an equal share of the caller's threads.

    Threads that share an operator wait for each other at the end of every operator, which is slow on a machine where
    other processes take cores away. Threads that each run a micro-batch wait for each other only once per step.

    Args:
        workers: largest number of parallel calls; never more than the caller's threads.

    Yields:
        A pool whose `map` keeps the order.
    """
    with num_threads(torch.get_num_threads()):  # the workers' setting would also apply to threads that start later
        share = threads_of_each(workers)
        workers = min(workers, torch.get_num_threads())
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(share,)) as pool:
            yield pool


def threads_of_each(workers: int) -> int:
    """Number of threads of each of several parallel calls that share the caller's threads."""
    return max(1, torch.get_num_threads() // workers)


@contextmanager
def num_threads(count: int) -> Iterator[None]:
    """Sets the number of threads of PyTorch's operators in this thread; afterwards it is as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
