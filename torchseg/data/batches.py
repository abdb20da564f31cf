"""Training batches; their content depends only on seed and step, so a resumed run sees the same batches."""

from __future__ import annotations

import itertools
import logging
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from torchseg.data.sample import Samples
from torchseg.data.transforms import Distortion, RandomView
from torchseg.processes.group import end_with_parent

_LOG = logging.getLogger(__name__)


class Batch(NamedTuple):
    """A batch of random views of images.

    Attributes:
        pictures: RGB, uint8 `(B, C, H, W)`, not normalised.
        masks: true classes, uint8 `(B, H, W)`; the ignored value where the class is unknown.
        labelled: bool `(B,)`, False for images without a mask.
        seeds: seeds of the views, int64 `(B,)`; images with the same seeds are identical.
        plain: the last images of the batch as the teacher sees them, uint8 `(A, C, H, W)`, if the student sees them
            distorted; else empty.
        targets: a teacher's logits for the last images of the batch, float32 `(A, K, H, W)`, 0 <= A <= B.

    Labelled images come first.
    """

    pictures: Tensor
    masks: Tensor
    labelled: Tensor
    seeds: Tensor
    plain: Tensor = torch.empty(0)
    targets: Tensor = torch.empty(0)

    def rows(self, first: int, last: int) -> Batch:
        """The images from `first` up to, not including, `last`."""
        parts = []
        for each in self:
            without = len(self.pictures) - len(each)  # `plain` and `targets` have rows for the last images alone
            parts.append(each[max(0, first - without) : max(0, last - without)])
        return Batch(*parts)


class Draw(NamedTuple):
    """One image of a batch: whether it is from the transfer set, its index, and seed and size of its random view."""

    transfer: bool
    picture: int
    seed: int
    half_size: bool = False


@dataclass(frozen=True, kw_only=True)
class BatchPlan:
    """Selects the images of each step: shuffled passes over the labelled images and over the transfer set.

    Attributes:
        labelled: number of labelled images.
        batch_size: labelled images per step, over all processes.
        seed: of shuffling and views.
        transfer: number of images without masks.
        transfer_batch: images without masks per step, on top of the labelled ones.
        views: number of views, at least, of each image that a teacher is asked about, before order and views repeat; 0
            for a new view every time. These are the images without masks, or if there are none, the labelled ones.
        half_size_steps: number of steps, from the first, whose views have half the height and width.
    """

    labelled: int
    batch_size: int
    seed: int
    transfer: int = 0
    transfer_batch: int = 0
    views: int = 0
    half_size_steps: int = 0

    def __post_init__(self) -> None:
        if self.transfer_batch and not self.transfer:
            raise ValueError(f"transfer_batch is {self.transfer_batch}, but there are no images without masks; give 0")

    @property
    def steps_per_epoch(self) -> int:
        """Steps per epoch. An epoch counts labelled images only, so that runs with and without transfer set compare."""
        return max(1, self.labelled // self.batch_size)

    @property
    def size(self) -> int:
        """All images per step, over all processes."""
        return self.batch_size + self.transfer_batch

    def step(self, step: int) -> list[Draw]:
        """The images of one step, counted from 0 over the whole training; labelled ones first."""
        if not self.transfer_batch:
            draws = self._draws(self._repeated(step), self.labelled, self.batch_size, stream=0)
        else:
            draws = self._draws(step, self.labelled, self.batch_size, stream=0)
            draws += self._draws(self._repeated(step), self.transfer, self.transfer_batch, stream=1)
        return [draw._replace(half_size=step < self.half_size_steps) for draw in draws]

    def _repeated(self, step: int) -> int:
        """The step whose images and views the teacher is asked about in this one."""
        if not self.views:
            return step
        count, share = (self.transfer, self.transfer_batch) if self.transfer_batch else (self.labelled, self.batch_size)
        return step % (self.views * -(-count // share))

    def _draws(self, step: int, count: int, share: int, *, stream: int) -> list[Draw]:
        indices = self._pass(step, count, share, stream=stream)
        # The seeds also depend on what the batch is made of: a teacher uses them as keys of its cached logits.
        seeds = np.random.default_rng([self.seed, 2 + stream, step, count, share]).integers(0, 2**31, share)
        return [Draw(stream == 1, index, seed) for index, seed in zip(indices, seeds.tolist(), strict=True)]

    def _pass(self, step: int, count: int, share: int, *, stream: int) -> list[int]:
        positions = range(step * share, (step + 1) * share)
        orders = {number: self._order(number, count, stream) for number in {each // count for each in positions}}
        return [int(orders[each // count][each % count]) for each in positions]

    def _order(self, number: int, count: int, stream: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.random.default_rng([self.seed, stream, number]).permutation(count)


class _StepSampler(Sampler[list[Draw]]):
    """The images of every step from `first` on, without end: nothing waits for the first batch of an epoch."""

    def __init__(self, plan: BatchPlan, rank: int, processes: int) -> None:
        self.plan, self.rank, self.processes, self.first = plan, rank, processes, 0

    def __iter__(self) -> Iterator[list[Draw]]:
        for step in itertools.count(self.first):
            yield self.plan.step(step)[self.rank :: self.processes]


class _View(NamedTuple):
    picture: Tensor
    mask: Tensor
    labelled: bool
    seed: int
    plain: Tensor | None


class _Views(Dataset[_View]):
    def __init__(self, labelled: Samples, transfer: Samples, view: RandomView, distort: Distortion | None) -> None:
        self.labelled, self.transfer, self.view, self.distort = labelled, transfer, view, distort

    def __getitem__(self, draw: Draw) -> _View:
        sample = (self.transfer if draw.transfer else self.labelled)[draw.picture]
        picture, mask = self.view(sample, seed=draw.seed, half_size=draw.half_size)
        if not (draw.transfer and self.distort):
            return _View(picture, mask, not draw.transfer, draw.seed, None)
        return _View(self.distort(picture, seed=draw.seed), mask, labelled=False, seed=draw.seed, plain=picture)


class Batches:
    """Batches of random views of labelled and transfer images, epoch by epoch.

    Args:
        labelled: images with masks.
        transfer: images without masks; may be empty.
        view: makes the random views.
        plan: selects the images of each step.
        distort: distorts the student's view of images without masks. Default: student and teacher see the same.
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
        distort: Distortion | None = None,
        workers: int,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.plan = plan
        self._sampler = _StepSampler(plan, rank, processes)
        self._views, self._workers = _Views(labelled, transfer, view, distort), workers
        self._loader = self._new_loader()
        self._loaded: Iterator[Batch] = iter(())
        self._next: int | None = None  # the step of the next batch in `_loaded`
        self._lost_worker = False

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of one epoch, counted from 0.

        Raises:
            ValueError: if a second loading process is killed; the first is replaced.
        """
        steps = self.plan.steps_per_epoch
        for step in range(number * steps, (number + 1) * steps):
            yield self._batch(step)

    def _batch(self, step: int) -> Batch:
        try:
            if step != self._next:
                self._sampler.first = step
                self._loaded = self._start_loading()
            batch = next(self._loaded)
        except (RuntimeError, ConnectionError, EOFError) as error:
            self._replace_lost_worker(error)
            self._next = None
            return self._batch(step)
        self._next = step + 1
        return batch

    def _start_loading(self) -> Iterator[Batch]:
        loaded: Iterator[Batch] = iter(self._loader)
        if self._workers and threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGCHLD"):
            # The handler of PyTorch would raise in the middle of a training step, not where a batch is waited for.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        return loaded

    def _replace_lost_worker(self, error: Exception) -> None:
        """Starts new loading processes, once; raises the error if it is another one."""
        # A process that dies while it hands over a batch breaks the connection.
        if isinstance(error, RuntimeError) and not str(error).startswith("DataLoader worker (pid"):
            raise error
        if self._lost_worker:
            raise ValueError(
                "a process that loads images was killed a second time, probably for lack of memory; give fewer "
                "--workers (0 loads in the training process), a smaller --batch_size or smaller images"
            ) from error
        self._lost_worker = True
        _LOG.warning("a process that loads images was killed; another takes its place")
        self._loader = self._new_loader()

    def _new_loader(self) -> DataLoader[_View]:
        return DataLoader(
            self._views,
            batch_sampler=self._sampler,
            num_workers=self._workers,
            persistent_workers=self._workers > 0,
            worker_init_fn=_start,
            collate_fn=_collate,
        )


def _start(worker: int) -> None:
    end_with_parent()
    torch.set_num_threads(1)  # the threads of the training process need the cores


def _collate(views: list[_View]) -> Batch:
    pictures, masks, labelled, seeds, plain = zip(*views, strict=True)
    undistorted = [each for each in plain if each is not None]
    return Batch(
        torch.stack(pictures),
        torch.stack(masks),
        torch.tensor(labelled),
        torch.tensor(seeds),
        torch.stack(undistorted) if undistorted else torch.empty(0),
    )
