"""The gradient of a batch from its two halves, which are computed beside each other."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from torchseg.data import Batch

_SMALLEST = 2  # pictures that batch norm may find alone in a part
Loss = Callable[[nn.Module, Batch], Tensor]
"""Takes a network and a batch; gives a scalar that can be differentiated."""


class DataParallel:
    """One network on two halves of each batch, as two processes of a data-parallel training would have it.

    Every parameter is shared, so that gradients add up; batch norm sees a half and keeps statistics of its own. The
    result does not depend on how many cores there are: with one, the halves follow each other. It would with more than
    two parts: the sum of two floats is the same in either order, that of three is not.

    Args:
        networks: the network and, if batches are to be halved, its `replica`, as the caller wrapped them.
        backward: adds the gradient of a scalar to the parameters.
        run: calls a function on each of several arguments, like `map`; beside each other, if it can.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        backward: Callable[[Tensor], object],
        run: Callable[..., Iterable[Tensor]] = map,
    ) -> None:
        self.networks, self.backward, self.run = networks, backward, run

    def learn(self, loss: Loss, batch: Batch) -> Tensor:
        """Adds the gradient of the batch to the parameters; gives its loss, which belongs to no graph."""
        count, size = len(self.networks), len(batch.pictures)
        parts = [Batch(*(tensor[first::count] for tensor in batch)) for first in range(count)]

        def one(network: nn.Module, part: Batch) -> Tensor:
            share = len(part.pictures) / size * loss(network, part)
            self.backward(share)
            return share.detach()

        return torch.stack(list(self.run(one, self.networks, parts))).sum()

    @torch.no_grad()
    def sync_batch_norm_stats(self) -> None:
        """Gives every network the mean of their statistics."""
        for statistics in zip(*map(_statistics, self.networks), strict=True):
            if statistics[0].is_floating_point():
                mean = torch.stack(statistics).mean(dim=0)
                for own in statistics:
                    own.copy_(mean)


def can_split_batch(model: nn.Module, batch_size: int, shape: tuple[int, int, int], *, parts: int = 2) -> bool:
    """Whether the parts of a batch can be learned from beside each other, with the same result every time.

    Each needs pictures enough for batch norm, and a pass in training mode must not draw random numbers or change
    anything but the statistics of batch norm.

    Args:
        model: is left as it is.
        batch_size: of a whole batch.
        shape: `(C, H, W)` of a picture.
        parts: that a batch is cut into.
    """
    if batch_size < parts * _SMALLEST:
        return False
    trial = copy.deepcopy(model).train()
    known = {id(tensor) for tensor in _statistics(trial)}
    others = [(tensor, tensor.clone()) for tensor in trial.buffers() if id(tensor) not in known]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        before = torch.get_rng_state()
        trial(torch.zeros(_SMALLEST, *shape, device=next(trial.parameters()).device))
        drew = not torch.equal(before, torch.get_rng_state())
    return not drew and all(torch.equal(tensor, old) for tensor, old in others)


def replica(model: nn.Module) -> nn.Module:
    """A network that shares everything with the model but the statistics of batch norm."""
    shared: list[object] = [*model.parameters()]
    shared += [part for part in model.modules() if not any(isinstance(below, _NormBase) for below in part.modules())]
    return copy.deepcopy(model, {id(each): each for each in shared})


def _statistics(model: nn.Module) -> Iterator[Tensor]:
    for part in model.modules():
        if isinstance(part, _NormBase):
            yield from part.buffers(recurse=False)


@contextmanager
def thread_pool(workers: int) -> Iterator[ThreadPoolExecutor]:
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
