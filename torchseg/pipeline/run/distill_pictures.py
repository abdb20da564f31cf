"""Opens the pictures of a distillation, scaled as its networks learned them."""

from __future__ import annotations

from torchseg.checkpoint import read_card
from torchseg.config import DistillConfig
from torchseg.models import Scaling, parse_arguments, pretrained_scaling
from torchseg.pipeline.run.dataset import Pictures, open_pictures


def distill_pictures(config: DistillConfig) -> Pictures:
    """Opens the configured data set and transfer set.

    Raises:
        ValueError: if pictures are missing or damaged, or teacher and student learned them scaled in different ways.
    """
    return open_pictures(config, transfer_set=config.transfer_set).scaled(_scaling(config))


def _scaling(config: DistillConfig) -> Scaling | None:
    """What the pictures are for both networks: as the pretrained one or the given teacher learned them, if either did.

    Raises:
        ValueError: if they learned them in different ways.
    """
    student = pretrained_scaling(config.student, parse_arguments(config.student_arguments))
    if config.teacher_checkpoint:
        spec = read_card(config.teacher_checkpoint).spec
        teacher: Scaling | None = (spec.mean, spec.std)
    else:
        teacher = pretrained_scaling(config.teacher or "", parse_arguments(config.teacher_arguments))
    if teacher and student and teacher != student:
        raise ValueError(
            f"teacher {config.teacher_checkpoint} scales pictures in another way than the pretrained student "
            f"{config.student}; give a student without encoder_weights, or train the teacher again"
        )
    return teacher or student
