"""Chooses the mean and standard deviation with which the networks of a run see images."""

from __future__ import annotations

from torchseg.checkpoint import read_card
from torchseg.config import DistillConfig
from torchseg.config.distillation import teacher_folders
from torchseg.models import Scaling, parse_arguments, pretrained_scaling


def distill_scaling(config: DistillConfig) -> Scaling | None:
    """The normalisation of both networks: that of the flags, the given teacher or the pretrained student, or None.

    Raises:
        ValueError: if these differ.
    """
    student = pretrained_scaling(config.student, parse_arguments(config.student_arguments))
    if given := teacher_folders(config.teacher_checkpoint):
        spec = read_card(given[0]).spec
        teacher: Scaling | None = (spec.mean, spec.std)
    else:
        teacher = pretrained_scaling(config.teacher or "", parse_arguments(config.teacher_arguments))
    if teacher and student and not _are_alike(teacher, student):
        raise ValueError(
            f"teacher {config.teacher_checkpoint} scales images in another way than the pretrained student "
            f"{config.student}; give a student without encoder_weights, or train the teacher again"
        )
    return chosen_scaling(config.normalisation, teacher or student)


def chosen_scaling(given: Scaling | None, trained: Scaling | None) -> Scaling | None:
    """The normalisation of the flags, or that with which a network's weights were trained; None without either.

    Raises:
        ValueError: if there are both and they differ.
    """
    if given and trained and not _are_alike(given, trained):
        raise ValueError(
            f"--mean and --std are {given} and the weights to start from have {trained}; leave the flags out"
        )
    return trained or given


def scaling_for(scaling: Scaling, channels: int) -> Scaling:
    """The normalisation of images of so many channels; equal values serve any number of them.

    Raises:
        ValueError: if it is of another number of channels.
    """
    mean, std = (values * channels if len(values) == 1 else values for values in map(_shortened, scaling))
    if not len(mean) == len(std) == channels:
        known = len(std) if len(mean) == channels else len(mean)
        raise ValueError(
            f"mean {mean} and std {std} are of {known} channels and the images have {channels}; give "
            f"--channels {known}, or --mean and --std of {channels} values"
        )
    return mean, std


def _are_alike(one: Scaling, other: Scaling) -> bool:
    return all(_shortened(ours) == _shortened(theirs) for ours, theirs in zip(one, other, strict=True))


def _shortened(values: tuple[float, ...]) -> tuple[float, ...]:
    """One value where all are equal."""
    return values[:1] if len(set(values)) == 1 else values
