"""The training loop, on Lightning Fabric; the step function that is passed in defines the loss."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from torchseg.checks import check_ema, check_positive
from torchseg.data import Batch, Batches, Samples
from torchseg.progress_bar import Progress as ProgressBar
from torchseg.spec import ImageSpec
from torchseg.train.averaging import averaged_model
from torchseg.train.callback import Callback, NoCallback
from torchseg.train.data_parallel import DataParallel, can_split_batch, replica
from torchseg.train.evaluate import evaluate
from torchseg.train.lr_schedule import SCHEDULES
from torchseg.train.optimizer import OPTIMIZERS, make_optimizer
from torchseg.train.precision import MixedPrecision, TrainingPrecision
from torchseg.train.state import Progress, Row, load_progress, save_progress
from torchseg.train.steps import Step
from torchseg.train.teacher import Teacher
from torchseg.train.threads import num_threads, thread_pool, threads_of_each

_SAVE_EVERY_S = 10.0


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """Length, learning rate and precision of one training.

    Attributes:
        epochs: passes over the labelled images.
        learning_rate: peak learning rate, reached after the warm-up.
        optimizer: a key of `OPTIMIZERS`.
        weight_decay: see `make_optimizer`.
        schedule: learning rate schedule, a key of `SCHEDULES`.
        warmup: share of the steps during which the learning rate rises, in [0, 1).
        validations: largest number of evaluations on the validation split.
        gradient_norm: largest gradient norm; a larger gradient is clipped to it (arXiv:1211.5063).
        precision: precision of the network's operators.
        micro_batches: number of micro-batches per batch, computed in parallel, each with its own batch norm statistics;
            1 is used if the network does not allow more (`can_split_batch`).
        ema: decay of the moving average of the weights, which is what is validated and kept, in [0, 1); 0 keeps the
            weights themselves.
    """

    epochs: int
    learning_rate: float = 2e-3
    optimizer: str = "adamw"
    weight_decay: float = 1e-2
    schedule: str = "cosine"
    warmup: float = 0.1
    validations: int = 10
    gradient_norm: float = 1.0
    precision: TrainingPrecision = "fp32"
    micro_batches: int = 2
    ema: float = 0.0

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"epochs is {self.epochs}; train for at least 1")
        check_positive("learning_rate", self.learning_rate, example="0.002")
        choices = {"schedule": SCHEDULES, "optimizer": OPTIMIZERS, "precision": get_args(TrainingPrecision)}
        for name, known in choices.items():
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"{name} is '{value}'; choose from {', '.join(known)}")
        if self.micro_batches not in (1, 2):
            raise ValueError(f"micro_batches is {self.micro_batches}; give 1 for whole batches, or 2 for halves")
        check_ema(self.ema)


@dataclass(frozen=True, kw_only=True)
class Task:
    """The data of a training, its callbacks, and the name that the progress bar shows.

    Attributes:
        name: name in the progress bar.
        batches: training data.
        validation: the validation split, at the spec's size.
        spec: scaling and classes.
        teacher: computes the targets of the images that it is asked about: those without masks, or if a batch has none,
            all. Default: no targets.
        callback: called after each optimizer step.
        on_epoch_end: called with the row of every epoch that was validated.
    """

    name: str
    batches: Batches
    validation: Samples
    spec: ImageSpec
    teacher: Teacher | None = None
    callback: Callback = field(default_factory=NoCallback)
    on_epoch_end: Callable[[Row], object] = lambda row: None


def fit(model: nn.Module, task: Task, step: Step, config: FitConfig, *, fabric: Fabric, folder: Path) -> Progress:
    """Trains a network; resumes an interrupted call from its state in `folder`.

    The network ends with the weights that were best on the validation split, among those that the callback allows as a
    checkpoint. The same seed, data and number of threads give the same weights, interrupted or not.

    Args:
        model: trained in place; afterwards on the CPU and in eval mode.
        task: training and validation data, and callbacks.
        step: computes the loss of the network on a batch.
        config: length, learning rate and precision.
        fabric: device and processes; already launched.
        folder: stores the state of an unfinished training.

    Returns:
        The finished progress: best mean IoU and the rows of the training curve.

    Raises:
        ValueError: for an average of weights that a callback changes, or a loss that is not finite.
    """
    if config.ema and not isinstance(task.callback, NoCallback):
        raise ValueError(
            f"ema is {config.ema}, but a callback acts on the weights: an average would not keep its zeros and shared "
            "values; give 0"
        )
    model.to(fabric.device)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = make_optimizer(
        config.optimizer, model, learning_rate=config.learning_rate, weight_decay=config.weight_decay
    )
    averaged = averaged_model(model, decay=config.ema) if config.ema else None
    progress = load_progress(folder, model, optimizer, callback=task.callback, averaged=averaged)
    if progress.epoch < config.epochs:
        task.callback.after_step(progress.epoch * task.batches.plan.steps_per_epoch, model, optimizer)
        training = _Training(model, averaged, optimizer, task, step, config, fabric)
        saved = time.monotonic()
        with training.replicas() as replicas, _progress_bar(task, progress.epoch, config.epochs, fabric) as on_step:
            for epoch in range(progress.epoch, config.epochs):
                row = training.epoch(epoch, replicas, on_step)
                progress.epoch = epoch + 1
                _validate(averaged.module if averaged else model, task, config, progress, row)
                progress.curve.append(row)
                if "val_miou" in row:
                    task.on_epoch_end(row)
                if fabric.is_global_zero and time.monotonic() - saved > _SAVE_EVERY_S:
                    save_progress(folder, progress, model, optimizer, callback=task.callback, averaged=averaged)
                    saved = time.monotonic()
    model.load_state_dict(progress.best)
    model.to("cpu").eval()
    return progress


@dataclass(frozen=True)
class _Training:
    """What the epochs of one training share."""

    model: nn.Module
    averaged: AveragedModel | None
    optimizer: torch.optim.Optimizer
    task: Task
    step: Step
    config: FitConfig
    fabric: Fabric

    @contextmanager
    def replicas(self) -> Iterator[DataParallel]:
        """Makes a replica per micro-batch; uses whole batches if several processes train or the network cannot split.

        Fabric wraps the network only if several processes train. Its wrapper checks `backward` calls through one flag
        per process, which two threads would set and clear for each other.
        """
        if self.fabric.world_size > 1:
            yield DataParallel([self._mixed(self.fabric.setup_module(self.model))], self.fabric.backward)
            return
        parts = self.config.micro_batches
        spec, size = self.task.spec, self.task.batches.plan.size
        shape = (spec.channels, spec.height, spec.width)
        if parts == 1 or not can_split_batch(self.model, size, shape, parts=parts):
            yield DataParallel([self._mixed(self.model)], Tensor.backward)
            return
        networks = [self._mixed(network) for network in (self.model, *(replica(self.model) for _ in range(1, parts)))]
        if self.fabric.device.type != "cpu":  # one micro-batch fills a GPU
            yield DataParallel(networks, Tensor.backward)
            return
        with thread_pool(parts) as pool:
            # On all threads, an optimizer step would wait for the core on which another process loads images.
            yield DataParallel(networks, Tensor.backward, pool.map, threads=threads_of_each(parts))

    def _mixed(self, network: nn.Module) -> nn.Module:
        return MixedPrecision(network, self.config.precision)

    def epoch(self, number: int, replicas: DataParallel, on_step: Callable[[], None]) -> Row:
        """Trains one epoch and calls `on_step` after each step.

        The row has the mean loss, the learning rate of the last step and the duration in s.
        """
        started = time.monotonic()
        for network in replicas.networks:
            network.train()
        steps = self.task.batches.plan.steps_per_epoch
        losses = []
        with num_threads(replicas.threads):
            for at, batch in enumerate(self.task.batches.epoch(number), start=number * steps):
                losses.append(self._learn(batch, at, replicas))
                on_step()
        _check_finite(losses, first=number * steps, steps=steps, name=self.task.name)
        mean_loss = self.fabric.all_reduce(torch.stack(losses).mean())
        return {
            "epoch": number + 1,
            "step": (number + 1) * steps,
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "train_loss": float(mean_loss),  # type: ignore[arg-type]
            "seconds": time.monotonic() - started,
        }

    def _learn(self, batch: Batch, at: int, replicas: DataParallel) -> Tensor:
        """Takes one optimizer step, after `at` earlier ones; returns its loss."""
        config, total = self.config, self.config.epochs * self.task.batches.plan.steps_per_epoch
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * SCHEDULES[config.schedule](at, total, warmup=config.warmup)
        self.optimizer.zero_grad()
        loss = replicas.learn(self._loss, self._with_targets(batch, replicas))
        if loss.device.type == "cpu":  # elsewhere, to look at every loss would make the host wait for the device
            _check_finite([loss], first=at, steps=self.task.batches.plan.steps_per_epoch, name=self.task.name)
        replicas.sync_batch_norm_stats()
        nn.utils.clip_grad_norm_(self.model.parameters(), config.gradient_norm)
        self.optimizer.step()
        self.task.callback.after_step(at + 1, self.model, self.optimizer)
        if self.averaged:
            self.averaged.update_parameters(self.model)
        return loss

    def _with_targets(self, batch: Batch, replicas: DataParallel) -> Batch:
        """The batch on the training's device, with the logits of the teacher if there is one."""
        batch = Batch(*(tensor.to(self.fabric.device) for tensor in batch))
        if self.task.teacher is None:
            return batch
        labelled = int(batch.labelled.sum())
        asked = batch.rows(labelled if labelled < len(batch.pictures) else 0, len(batch.pictures))
        images = normalise(asked.plain if len(asked.plain) else asked.pictures, self.task.spec)
        parts = len(replicas.networks)
        return batch._replace(targets=self.task.teacher(images, asked.seeds, parts=parts, run=replicas.run))

    def _loss(self, network: nn.Module, batch: Batch) -> Tensor:
        return self.step(network, normalise(batch.pictures, self.task.spec), batch)


def _check_finite(losses: Sequence[Tensor], *, first: int, steps: int, name: str) -> None:
    """Raises ValueError that names the step if a loss is infinite or not a number; `first` is the step of the first."""
    for index in (~torch.isfinite(torch.stack(list(losses)))).nonzero()[:1].flatten().tolist():
        epoch, step = divmod(first + index, steps)
        raise ValueError(
            f"{name}: the loss is {float(losses[index])} in epoch {epoch + 1}, step {step + 1} of {steps}; the weights "
            "before it stay as they are: give a smaller --learning_rate, or another --loss"
        )


def _validate(model: nn.Module, task: Task, config: FitConfig, progress: Progress, row: Row) -> None:
    """Evaluates at regular epochs and after the last; keeps the best weights among those allowed as a checkpoint."""
    every = -(-config.epochs // config.validations)
    if progress.epoch % every and progress.epoch != config.epochs:
        return
    row["val_miou"], row["val_loss"], _ = evaluate(model, task.validation, task.spec)
    if task.callback.can_checkpoint and (row["val_miou"] > progress.best_miou or not progress.best):
        progress.best_miou = row["val_miou"]
        progress.best = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def normalise(pictures: Tensor, spec: ImageSpec) -> Tensor:
    """Normalises like `ImageSpec.prepare`.

    Args:
        pictures: uint8 `(B, C, H, W)`.
        spec: mean and standard deviation.

    Returns:
        Normalised images, float32 `(B, C, H, W)`, in the channels_last memory format.
    """
    mean = torch.tensor(spec.mean, device=pictures.device).view(1, -1, 1, 1)
    std = torch.tensor(spec.std, device=pictures.device).view(1, -1, 1, 1)
    return ((pictures.float() / 255 - mean) / std).contiguous(memory_format=torch.channels_last)


@contextmanager
def _progress_bar(task: Task, first: int, last: int, fabric: Fabric) -> Iterator[Callable[[], None]]:
    """Shows, in the first of the training processes, the steps of these epochs; yields what to call after each."""
    if not fabric.is_global_zero:
        yield lambda: None
        return
    steps = task.batches.plan.steps_per_epoch
    with ProgressBar(last * steps, task.name, unit="step", done=first * steps, says_end=False) as bar:
        yield bar.advance
