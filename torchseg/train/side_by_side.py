"""Threads of Python that share the cores of their caller."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch


@contextmanager
def side_by_side(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Runs PyTorch calls beside each other, each on its share of the caller's threads.

    Several threads within one operator wait for each other at the end of each; where the system takes a core away now
    and then, that wait is long. Threads that meet once a step wait once a step.

    Args:
        workers: at most so many, and not more than the caller has threads.

    Yields:
        A pool whose `map` keeps the order.
    """
    threads = torch.get_num_threads()
    workers = max(1, min(workers, threads))
    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads // workers,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)  # the workers' setting is also the one for threads that begin later
