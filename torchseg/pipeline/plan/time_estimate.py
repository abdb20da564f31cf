"""How long a training will take, from a few steps of its network."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from torchseg.pipeline.plan.run_plan import PlannedStage
from torchseg.pipeline.stages.training import Trainer
from torchseg.pipeline.stages.training_plan import Supervision
from torchseg.plural import counted
from torchseg.train import FitConfig, Task, fit

_STEPS = 4  # the first one also sets up memory and kernels
_FEWEST_STEPS = 40  # a training with fewer is not worth the time of measuring it
_FORWARD = 1 / 3  # of the time of a training step
_HALF_SIZE = 1 / 4  # images of half the height and width


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """Seconds of one optimizer step.

    Attributes:
        new: with images that the teacher has not been asked about.
        repeated: with images whose logits are cached; equals `new` if none are cached.
    """

    new: float
    repeated: float


def step_time(trainer: Trainer, network: nn.Module, supervision: Supervision) -> StepTime:
    """Trains a network for a few steps, in the run's precision and on its images, and drops the result.

    The random state stays as it is, so that the run's own trainings are the same with and without the measurement.
    """
    views = 2 if supervision.views else 0
    plan = trainer.batch_plan(transfer_ratio=supervision.transfer_ratio, views=views)
    plan = replace(plan, labelled=plan.batch_size, transfer=min(plan.transfer, plan.transfer_batch))
    loading = replace(trainer, config=replace(trainer.config, workers=0))
    task = Task(
        name="measuring",
        batches=loading.batches(plan, distort=supervision.distort),
        validation=[trainer.pictures.validation[0]],
        spec=trainer.pictures.spec,
        teacher=supervision.teacher(),
    )
    config = replace(trainer.fit_config(_STEPS), validations=1)
    devices = [] if trainer.fabric.device.type == "cpu" else [trainer.fabric.device]
    with torch.random.fork_rng(devices=devices), tempfile.TemporaryDirectory() as folder:
        progress = fit(network, task, supervision.step(), config, fabric=trainer.fabric, folder=Path(folder))
    seconds = [float(row["seconds"]) for row in progress.curve]
    return StepTime(new=seconds[1] if views else min(seconds[1:]), repeated=min(seconds[2:]))


def training_line(stage: str, epochs: int, estimate: TrainingEstimate, *, progressive: float = 0.0) -> PlannedStage:
    """The line of a training of so many epochs; `progressive` as in `TrainingEstimate.seconds`."""

    def seconds() -> float | None:
        return estimate.seconds(epochs, progressive=progressive)

    return PlannedStage(name=stage, title=stage, amount=counted(epochs, "epoch"), seconds=seconds, kind="training")


class TrainingEstimate:
    """Estimates trainings of one network; its steps are measured once, when the first estimate needs them.

    Args:
        trainer: of the run.
        network: builds the network.
        supervision: makes what it learns from.
    """

    def __init__(
        self, trainer: Trainer, network: Callable[[], nn.Module], supervision: Callable[[], Supervision]
    ) -> None:
        self._trainer, self._network, self._supervision = trainer, network, supervision
        self._measured: tuple[StepTime, Supervision] | None = None

    @property
    def image_seconds(self) -> float:
        """Seconds that the network takes for one image, without a gradient."""
        step, supervision = self._steps()
        return _FORWARD * step.repeated / self._trainer.batch_plan(transfer_ratio=supervision.transfer_ratio).size

    def seconds(self, epochs: int, *, progressive: float = 0.0) -> float | None:
        """Seconds of a training; None for one that several processes share or that is too short to be measured.

        Args:
            epochs: of the training.
            progressive: share of its epochs with images of half the height and width.
        """
        trainer = self._trainer
        steps = epochs * trainer.steps_per_epoch
        if trainer.fabric.world_size > 1 or steps < _FEWEST_STEPS:
            return None
        step, supervision = self._steps()
        plan = trainer.batch_plan(transfer_ratio=supervision.transfer_ratio, views=supervision.views)
        images, each = (plan.transfer, plan.transfer_batch) if plan.transfer_batch else (plan.labelled, plan.batch_size)
        new = min(steps, plan.views * -(-images // each)) if plan.views else 0
        training = new * step.new + (steps - new) * step.repeated
        validated = min(epochs, FitConfig.validations) * len(trainer.pictures.validation)
        return training * (1 - progressive * (1 - _HALF_SIZE)) + validated * self.image_seconds

    def _steps(self) -> tuple[StepTime, Supervision]:
        if self._measured is None:
            supervision = self._supervision()
            self._measured = step_time(self._trainer, self._network(), supervision), supervision
        return self._measured
