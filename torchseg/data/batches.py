"""Training batches; their content depends only on seed and step, so a resumed run sees the same batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from torchseg.data.sample import Samples
from torchseg.data.transforms import RandomView


class Batch(NamedTuple):
    """A batch of random views of images.

    Attributes:
        pictures: RGB, uint8 `(B, C, H, W)`, not normalised.
        masks: true classes, uint8 `(B, H, W)`; the ignored value where the class is unknown.
        labelled: bool `(B,)`, False for images without a mask.
        seeds: seeds of the views, int64 `(B,)`; batches with the same seeds are identical.
    """

    pictures: Tensor
    masks: Tensor
    labelled: Tensor
    seeds: Tensor


class Draw(NamedTuple):
    """One image of a batch: whether it is from the transfer set, its index, and the seed of its random view."""

    transfer: bool
    picture: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class BatchPlan:
    """Selects the images of each step: shuffled passes over the labelled images and over the transfer set.

    Attributes:
        labelled: number of labelled images.
        transfer: number of images without masks; if there are any, they make up half of every batch.
        batch_size: images per step, over all processes.
        seed: of shuffling and views.
        views: number of views of each image, at least, before order and views repeat; 0 for a new view every time.
    """

    labelled: int
    transfer: int
    batch_size: int
    seed: int
    views: int = 0

    @property
    def steps_per_epoch(self) -> int:
        """Steps per epoch. An epoch counts labelled images only, so that runs with and without transfer set compare."""
        return max(1, self.labelled // self.batch_size)

    def step(self, step: int) -> list[Draw]:
        """The images of one step, counted from 0 over the whole training."""
        step %= self.views * self._steps_for_all or step + 1
        labelled = self.batch_size - self._from_transfer
        indices = self._pass(step, self.labelled, labelled, stream=0)
        indices += self._pass(step, self.transfer, self._from_transfer, stream=1) if self._from_transfer else []
        # The seeds also depend on the size of the transfer set: a teacher uses them as keys of its cached logits.
        seeds = np.random.default_rng([self.seed, 2, step, self.transfer]).integers(0, 2**31, len(indices)).tolist()
        drawn = enumerate(zip(indices, seeds, strict=True))
        return [Draw(slot >= labelled, index, seed) for slot, (index, seed) in drawn]

    @property
    def _from_transfer(self) -> int:
        return self.batch_size // 2 if self.transfer else 0

    @property
    def _steps_for_all(self) -> int:
        """Steps until every image was seen, labelled or not."""
        steps = -(-self.labelled // (self.batch_size - self._from_transfer))
        return max(steps, -(-self.transfer // self._from_transfer)) if self._from_transfer else steps

    def _pass(self, step: int, count: int, share: int, *, stream: int) -> list[int]:
        positions = range(step * share, (step + 1) * share)
        orders = {number: self._order(number, count, stream) for number in {each // count for each in positions}}
        return [int(orders[each // count][each % count]) for each in positions]

    def _order(self, number: int, count: int, stream: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.random.default_rng([self.seed, stream, number]).permutation(count)


class _EpochSampler(Sampler[list[Draw]]):
    def __init__(self, plan: BatchPlan, rank: int, processes: int) -> None:
        self.plan, self.rank, self.processes, self.epoch = plan, rank, processes, 0

    def __len__(self) -> int:
        return self.plan.steps_per_epoch

    def __iter__(self) -> Iterator[list[Draw]]:
        first = self.epoch * len(self)
        for step in range(first, first + len(self)):
            yield self.plan.step(step)[self.rank :: self.processes]


class _Views(Dataset[tuple[Tensor, Tensor, bool, int]]):
    def __init__(self, labelled: Samples, transfer: Samples, view: RandomView) -> None:
        self.labelled, self.transfer, self.view = labelled, transfer, view

    def __getitem__(self, draw: Draw) -> tuple[Tensor, Tensor, bool, int]:
        sample = (self.transfer if draw.transfer else self.labelled)[draw.picture]
        return *self.view(sample, seed=draw.seed), not draw.transfer, draw.seed


class Batches:
    """Batches of random views of labelled and transfer images, epoch by epoch.

    Args:
        labelled: images with masks.
        transfer: images without masks; may be empty.
        view: makes the random views.
        plan: selects the images of each step.
        workers: processes that load ahead; 0 loads in this process.
        rank: index of this training process.
        processes: number of training processes that share each batch.
    """

    def __init__(
        self,
        labelled: Samples,
        transfer: Samples,
        *,
        view: RandomView,
        plan: BatchPlan,
        workers: int,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.plan = plan
        self._sampler = _EpochSampler(plan, rank, processes)
        self._loader = DataLoader(
            _Views(labelled, transfer, view),
            batch_sampler=self._sampler,
            num_workers=workers,
            persistent_workers=workers > 0,
            worker_init_fn=_one_thread,
            collate_fn=_collate,
        )

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of one epoch, counted from 0."""
        self._sampler.epoch = number
        return iter(self._loader)


def _one_thread(worker: int) -> None:
    torch.set_num_threads(1)  # the threads of the training process need the cores


def _collate(views: list[tuple[Tensor, Tensor, bool, int]]) -> Batch:
    pictures, masks, labelled, seeds = zip(*views, strict=True)
    return Batch(torch.stack(pictures), torch.stack(masks), torch.tensor(labelled), torch.tensor(seeds))
