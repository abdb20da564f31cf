"""The networks and settings of a distillation, taken from the flags."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from torchseg.config import DistillConfig, LearningConfig
from torchseg.config.distillation import DistillationConfig, teacher_folders
from torchseg.models import parse_arguments
from torchseg.pipeline.run.folder import Stage
from torchseg.pipeline.stages.copied import given_teacher
from torchseg.pipeline.stages.lengths import STUDENT_STEPS, TEACHER_STEPS, VIEWS, Lengths
from torchseg.pipeline.stages.training import Trainer, check_network, check_training
from torchseg.pipeline.stages.training_plan import NetworkSpec, Supervision
from torchseg.spec import ImageSpec


def check_distillation(config: DistillConfig, spec: ImageSpec) -> None:
    """Checks, before anything is written, that the networks and losses exist and fit the data.

    Raises:
        ValueError: naming the valid choices.
    """
    check_supervision(config, spec)
    check_network(config.student, spec, arguments=parse_arguments(config.student_arguments))


def check_supervision(config: DistillConfig, spec: ImageSpec) -> None:
    """Checks, before anything is written, that losses and teacher exist and fit the data.

    Raises:
        ValueError: naming the valid choices.
    """
    check_training(config, spec)
    if config.teacher_checkpoint:
        given_teacher(teacher_folders(config.teacher_checkpoint), spec)
    elif config.teacher:
        check_network(config.teacher, spec, arguments=parse_arguments(config.teacher_arguments))


def teacher_stages(config: DistillConfig, trainer: Trainer) -> Iterator[Stage]:
    """The stages that train the teacher or copy the given ones; none if the student has no teacher.

    From its second round on, the teacher learns like a student, from the teacher of the round before; so each stage
    must be done before the next one is asked for.
    """
    if config.teacher_checkpoint:
        yield given_teacher(teacher_folders(config.teacher_checkpoint), trainer.pictures.spec)
        return
    if config.teacher is None:
        return
    network = teacher_network(config, trainer)
    before: Path | None = None
    for number in range(1, config.teacher_rounds + 1):
        name = teacher_round(config, number)
        yield trainer.from_start(replace(network, stage=name), supervision(trainer, before, views=config.views))
        before = trainer.folder.path / name


def teacher_network(config: DistillConfig, lengths: Lengths) -> NetworkSpec:
    """The teacher that the flags describe; they name one."""
    assert config.teacher is not None
    return NetworkSpec(
        stage="teacher",
        model=config.teacher,
        arguments=parse_arguments(config.teacher_arguments),
        epochs=lengths.epochs(config.teacher_epochs, steps=TEACHER_STEPS),
        learning_rate=config.teacher_learning_rate,
        schedule=config.teacher_schedule,
    )


def teacher_round(config: DistillConfig, number: int) -> str:
    """Name of the stage that trains the teacher for the first, second, ... time."""
    return "teacher" if number == config.teacher_rounds else f"teacher_round{number}"


def student_network(config: DistillConfig, trainer: Trainer, *, stage: str = "student") -> NetworkSpec:
    """The student that the flags describe, under the name of a stage."""
    return NetworkSpec(
        stage=stage,
        model=config.student,
        arguments=parse_arguments(config.student_arguments),
        epochs=trainer.epochs(config.epochs, steps=STUDENT_STEPS),
    )


def compression_flags(config: DistillConfig, lengths: Lengths) -> DistillConfig:
    """The flags with the epochs of a pruning that starts before the training, and so is as long as a training."""
    if not config.prune_at_start or config.prune_epochs:
        return config
    return replace(config, prune_epochs=lengths.epochs(config.epochs, steps=STUDENT_STEPS))


def supervision(trainer: Trainer, teacher: Path | None, *, views: int | None = None) -> Supervision:
    """What student and recovery learn from: the masks and, if there is one, the teacher.

    Args:
        trainer: of the run; its flags set the distillation loss.
        teacher: folder of the teacher's checkpoint.
        views: random views before they repeat (see `Supervision`). Default: by the data set.
    """
    if teacher is None:
        return trainer.labels()
    default = VIEWS.of(trainer.config.data)
    return trainer.distillation(teacher, distillation_config(trainer.config), views=default if views is None else views)


def distillation_config(config: LearningConfig) -> DistillationConfig:
    """The settings of the distillation loss alone, out of all flags of a command."""
    assert isinstance(config, DistillationConfig)
    return DistillationConfig(
        temperature=config.temperature,
        alpha=config.alpha,
        soft_loss=config.soft_loss,
        transfer_ratio=config.transfer_ratio,
        distort=config.distort,
    )
