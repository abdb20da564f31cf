"""The gradient of a batch from its micro-batches, computed in parallel by replicas in threads."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from torchseg.data import Batch

_SMALLEST = 2  # images that a micro-batch must hold, for the sake of batch norm
Loss = Callable[[nn.Module, Batch], Tensor]
"""Takes a network and a batch; returns a differentiable scalar."""


class DataParallel:
    """Trains one network on two micro-batches of each batch, as two processes of a data-parallel training would.

    With as many images without masks as labelled ones, one micro-batch has the labelled images and one the others.

    The replicas share every parameter, so gradients add up; batch norm sees one micro-batch and keeps its own
    statistics. The result does not depend on the number of cores: on a single core the micro-batches run one after the
    other. With three or more it would, because the sum of three floats depends on their order.

    Args:
        networks: the network and, to split batches, its `replica`, as the caller wrapped them.
        backward: adds the gradient of a scalar to the parameters.
        run: calls a function on each of several arguments, like `map`; in parallel if it can.
        threads: number of threads for whatever happens between the calls of `run`. Default: as many as now.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        backward: Callable[[Tensor], object],
        run: Callable[..., Iterable[Tensor]] = map,
        *,
        threads: int | None = None,
    ) -> None:
        self.networks, self.backward, self.run = networks, backward, run
        self.threads = threads or torch.get_num_threads()

    def learn(self, loss: Loss, batch: Batch) -> Tensor:
        """Adds the gradient of the batch to the parameters; returns its loss, a detached scalar."""
        count, size = len(self.networks), len(batch.pictures)
        bounds = [size * part // count for part in range(count + 1)]
        parts = [batch.rows(first, last) for first, last in pairwise(bounds)]

        def one(network: nn.Module, part: Batch) -> Tensor:
            share = len(part.pictures) / size * loss(network, part)
            self.backward(share)
            return share.detach()

        return torch.stack(list(self.run(one, self.networks, parts))).sum()

    @torch.no_grad()
    def sync_batch_norm_stats(self) -> None:
        """Averages the batch norm statistics of all replicas and gives each replica the mean."""
        first, *others = ([each for each in _statistics(net) if each.is_floating_point()] for net in self.networks)
        if not others or not first:
            return
        for number, own in enumerate(others, start=2):
            torch._foreach_lerp_(first, own, 1 / number)  # the mean of `number` replicas
        for own in others:
            torch._foreach_copy_(own, first)


def can_split_batch(model: nn.Module, batch_size: int, shape: tuple[int, int, int], *, parts: int = 2) -> bool:
    """Whether a batch can be split into micro-batches that run in parallel with a reproducible result.

    Each micro-batch needs enough images for batch norm, and a forward pass in training mode must neither draw random
    numbers nor change any buffer except the batch norm statistics.

    Args:
        model: the network; not changed.
        batch_size: images per batch.
        shape: `(C, H, W)` of an image.
        parts: number of micro-batches.
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
    """A copy of the model that shares everything with it except the batch norm statistics."""
    shared: list[object] = [*model.parameters()]
    shared += [part for part in model.modules() if not any(isinstance(below, _NormBase) for below in part.modules())]
    return copy.deepcopy(model, {id(each): each for each in shared})


def _statistics(model: nn.Module) -> Iterator[Tensor]:
    for part in model.modules():
        if isinstance(part, _NormBase):
            yield from part.buffers(recurse=False)
