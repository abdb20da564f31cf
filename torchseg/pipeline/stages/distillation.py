"""The networks and settings of a distillation, taken from the flags."""

from __future__ import annotations

from dataclasses import fields

from torchseg.config import DistillConfig
from torchseg.models import parse_arguments
from torchseg.pipeline.run.folder import Stage
from torchseg.pipeline.stages.training import (
    TEACHER_STEPS,
    VIEWS,
    NetworkSpec,
    Trainer,
    check_loss,
    check_network,
    given_teacher,
)
from torchseg.spec import ImageSpec
from torchseg.train import DistillationConfig


def check_distillation(config: DistillConfig, spec: ImageSpec) -> None:
    """Checks, before anything is written, that the networks and losses exist and fit the data.

    Raises:
        ValueError: naming the valid choices.
    """
    check_loss(config, spec)
    check_network(config.student, spec, arguments=parse_arguments(config.student_arguments))
    if config.teacher_checkpoint:
        given_teacher(config.teacher_checkpoint, spec)
    elif config.teacher:
        check_network(config.teacher, spec, arguments=parse_arguments(config.teacher_arguments))


def teacher_stage(config: DistillConfig, trainer: Trainer) -> Stage | None:
    """The stage that trains the teacher or copies a given one; None if the student has no teacher."""
    if config.teacher_checkpoint:
        return given_teacher(config.teacher_checkpoint, trainer.pictures.spec)
    if config.teacher is None:
        return None
    epochs = trainer.epochs(config.teacher_epochs, steps=TEACHER_STEPS)
    arguments = parse_arguments(config.teacher_arguments)
    return trainer.with_labels(NetworkSpec(stage="teacher", model=config.teacher, arguments=arguments, epochs=epochs))


def distillation_config(config: DistillConfig) -> DistillationConfig:
    """Copies the flags of the same names; without `--views`, takes the default for the data set."""
    values = {each.name: getattr(config, each.name) for each in fields(DistillationConfig)}
    views = VIEWS.of(config.data) if config.views is None else config.views
    return DistillationConfig(**values | {"views": views})
