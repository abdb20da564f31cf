"""The one training loop, on Lightning Fabric: what it learns from is the step that is passed in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from tqdm import tqdm

from torchseg.data import Batch, Batches, Samples
from torchseg.spec import ImageSpec
from torchseg.train.evaluate import evaluate
from torchseg.train.halves import HALVES, Halves, may_be_halved, twin
from torchseg.train.hook import Hook, NoHook
from torchseg.train.progress import Progress, Row, load_progress, save_progress
from torchseg.train.schedule import SCHEDULES
from torchseg.train.side_by_side import side_by_side
from torchseg.train.steps import Step

_SAVE_EVERY_S = 10.0


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """Length and pace of one training.

    Attributes:
        epochs: passes over the labelled pictures.
        learning_rate: peak, reached after the warm-up.
        weight_decay: of AdamW.
        schedule: of the learning rate, a key of `SCHEDULES`.
        warmup: share of the steps that the learning rate climbs.
        validations: how often at most the validation part is asked.
        gradient_norm: longest gradient that is taken as it is; a longer one is shortened (arXiv:1211.5063).
    """

    epochs: int
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    schedule: str = "cosine"
    warmup: float = 0.1
    validations: int = 10
    gradient_norm: float = 1.0

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"epochs is {self.epochs}; train for at least 1")
        if self.learning_rate <= 0:
            raise ValueError(f"learning_rate is {self.learning_rate}; give a positive number, e.g. 0.002")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule is '{self.schedule}'; choose from {', '.join(SCHEDULES)}")


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a network is trained and validated on, what watches over it, and the name that the progress bar shows.

    `told` hears the row of every epoch that asked the validation part, once it has.
    """

    name: str
    batches: Batches
    validation: Samples
    spec: ImageSpec
    hook: Hook = field(default_factory=NoHook)
    told: Callable[[Row], object] = lambda row: None


def fit(model: nn.Module, task: Task, step: Step, config: FitConfig, *, fabric: Fabric, folder: Path) -> Progress:
    """Trains with AdamW; goes on from what an interrupted call left in `folder`.

    The network ends with the weights that were best on the validation part, among those that the hook lets count. The
    same seed, data and number of threads give the same weights, interrupted or not.

    Args:
        model: trained in place.
        task: data.
        step: makes a loss of network and batch.
        config: length and pace.
        fabric: device, precision and processes; launched already.
        folder: holds the state of the unfinished training.

    Returns:
        The finished progress: best mean IoU and the rows of the curve.
    """
    model.to(fabric.device)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    progress = load_progress(folder, model, optimizer, hook=task.hook)
    if progress.epoch < config.epochs:
        task.hook.after_step(progress.epoch * task.batches.plan.steps_per_epoch, model, optimizer)
        wrapped, wrapped_optimizer = fabric.setup(model, optimizer)
        saved = time.monotonic()
        with _halves(model, wrapped, task, fabric) as halves:
            for epoch in _bar(task, progress.epoch, config.epochs, fabric):
                row = _train_epoch(halves, wrapped_optimizer, task, step, config=config, epoch=epoch, fabric=fabric)
                progress.epoch = epoch + 1
                _validate(model, task, config, progress, row)
                progress.curve.append(row)
                if "val_miou" in row:
                    task.told(row)
                if fabric.is_global_zero and time.monotonic() - saved > _SAVE_EVERY_S:
                    save_progress(folder, progress, model, optimizer, hook=task.hook)
                    saved = time.monotonic()
    model.load_state_dict(progress.best)
    model.to("cpu").eval()
    return progress


@contextmanager
def _halves(model: nn.Module, wrapped: nn.Module, task: Task, fabric: Fabric) -> Iterator[Halves]:
    """The network on both halves of a batch; on whole ones where the batch is shared already, or a GPU is quicker."""
    shape = (task.spec.channels, task.spec.height, task.spec.width)
    alone = fabric.world_size == 1 and fabric.device.type == "cpu"
    if alone and may_be_halved(model, task.batches.plan.batch_size, shape):
        with side_by_side(HALVES) as pool:
            yield Halves([wrapped, fabric.setup_module(twin(model))], fabric.backward, pool.map)
    else:
        yield Halves([wrapped], fabric.backward)


def _train_epoch(
    halves: Halves,
    optimizer: torch.optim.Optimizer,
    task: Task,
    step: Step,
    *,
    config: FitConfig,
    epoch: int,
    fabric: Fabric,
) -> Row:
    """One pass; the row has the mean loss, the learning rate of the last step and the seconds it took."""
    started = time.monotonic()
    model = halves.networks[0]

    def loss(network: nn.Module, batch: Batch) -> Tensor:
        return step(network, normalise(batch.pictures, task.spec), batch)

    for network in halves.networks:
        network.train()
    steps = task.batches.plan.steps_per_epoch
    total, losses, rate = steps * config.epochs, [], 0.0
    for number, batch in enumerate(task.batches.epoch(epoch), start=epoch * steps):
        rate = config.learning_rate * SCHEDULES[config.schedule](number, total, warmup=config.warmup)
        for group in optimizer.param_groups:
            group["lr"] = rate
        batch = Batch(*(tensor.to(fabric.device) for tensor in batch))
        optimizer.zero_grad()
        losses.append(halves.learn(loss, batch))
        fabric.clip_gradients(model, optimizer, max_norm=config.gradient_norm, error_if_nonfinite=False)
        optimizer.step()
        task.hook.after_step(number + 1, cast(nn.Module, model.module), optimizer)  # the network inside the wrapper
    halves.meet()
    mean_loss = fabric.all_reduce(torch.stack(losses).mean())
    return {
        "epoch": epoch + 1,
        "step": (epoch + 1) * steps,
        "learning_rate": rate,
        "train_loss": float(mean_loss),  # type: ignore[arg-type]
        "seconds": time.monotonic() - started,
    }


def _validate(model: nn.Module, task: Task, config: FitConfig, progress: Progress, row: Row) -> None:
    """Asks the validation part now and then and after the last epoch, and keeps the best weights that may be kept."""
    every = -(-config.epochs // config.validations)
    if progress.epoch % every and progress.epoch != config.epochs:
        return
    row["val_miou"], row["val_loss"] = evaluate(model, task.validation, task.spec)
    if task.hook.settled and (row["val_miou"] > progress.best_miou or not progress.best):
        progress.best_miou = row["val_miou"]
        progress.best = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def normalise(pictures: Tensor, spec: ImageSpec) -> Tensor:
    """What `ImageSpec.prepare` does, for uint8 tensors `(B, C, H, W)`; the result lies channels_last in memory."""
    mean = torch.tensor(spec.mean, device=pictures.device).view(1, -1, 1, 1)
    std = torch.tensor(spec.std, device=pictures.device).view(1, -1, 1, 1)
    return ((pictures.float() / 255 - mean) / std).contiguous(memory_format=torch.channels_last)


def _bar(task: Task, first: int, last: int, fabric: Fabric) -> Iterable[int]:
    """Epoch numbers behind a progress bar on a terminal, or with a plain line now and then in a pipe."""
    epochs = range(first, last)
    if not fabric.is_global_zero:
        return epochs
    return _epochs_with_progress(task.name, epochs, last)


def _epochs_with_progress(name: str, epochs: range, last: int) -> Iterator[int]:
    bar = tqdm(total=last, initial=epochs.start, desc=name, unit="epoch", disable=None, dynamic_ncols=True)
    started = time.monotonic()
    told = epochs.start
    for epoch in epochs:
        yield epoch
        bar.update()
        share = (epoch + 1 - epochs.start) / len(epochs)
        if bar.disable and (epoch + 1 - told) >= max(1, last // 5):
            told, left = epoch + 1, (time.monotonic() - started) * (1 / share - 1)
            print(f"  {name}: epoch {epoch + 1} of {last}, about {left:.0f} s left", flush=True)
    bar.close()
