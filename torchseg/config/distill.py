"""Flags of the `distill` command."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from torchseg.config.compression import CompressionFlags
from torchseg.config.export import ExportFlags
from torchseg.config.training import DistillationFlags, LearningConfig, check_epochs


@dataclass(frozen=True, kw_only=True)
class DistillConfig(CompressionFlags, ExportFlags, DistillationFlags, LearningConfig):
    """Trains a teacher, distils a small student, prunes and clusters it, and exports, certifies and scores them.

    Attributes:
        teacher: Teacher network: a name, or smp:ARCHITECTURE:ENCODER for any of segmentation_models_pytorch; null
            trains the student and its compressed versions without a teacher, from the masks alone.
        teacher_arguments: Arguments of the teacher's builder, e.g. base_width=64,dropout=0.1.
        teacher_checkpoint: Folder of a trained teacher, to use instead of training one.
        student: Student network: a name or smp:ARCHITECTURE:ENCODER.
        student_arguments: Arguments of the student's builder, e.g. base_width=16,depth=4,batch_norm=false.
        epochs: Epochs of the student, counted in labelled images. Default: enough for 640 steps on scenes, 1440
            otherwise.
        teacher_epochs: Epochs of the teacher. Default: enough for 320 steps on scenes, 1680 otherwise.
        transfer_set: Folder of images without masks, on which the student learns from the teacher alone. They make up
            half of every batch.
        views: Random views (augmentations) of each image before the same views repeat, at least this many; repeated
            views reuse the teacher's stored logits. 0 draws a new view every time. Default: 1 on scenes, 0 otherwise.
        soft_loss: Distillation loss. mean: divergence per pixel, averaged. The other two reproduce published mistakes
            (docs/explanation/recipes.md): picture_sum sums over each image, over_width takes the softmax along the
            image's width.
        baseline: Also train the same student without a teacher, to measure what distillation gains.
    """

    teacher: str | None = "attention_unet"
    teacher_arguments: str = ""
    teacher_checkpoint: Path | None = None
    student: str = "small_unet"
    student_arguments: str = ""
    epochs: int = 0
    teacher_epochs: int = 0
    transfer_set: Path | None = None
    views: int | None = None
    soft_loss: Literal["mean", "picture_sum", "over_width"] = "mean"
    baseline: bool = field(default=False, metadata={"was": "twin"})

    def __post_init__(self) -> None:
        LearningConfig.__post_init__(self)
        ExportFlags.__post_init__(self)
        CompressionFlags.__post_init__(self)
        DistillationFlags.__post_init__(self)
        check_epochs(epochs=self.epochs, teacher_epochs=self.teacher_epochs)
        if self.views is not None and self.views < 0:
            raise ValueError(f"views is {self.views}; give 0 for a new view every time, or a number of views, e.g. 2")
        for flag in ("teacher_checkpoint", "transfer_set", "baseline"):
            if self.teacher is None and getattr(self, flag):
                raise ValueError(f"teacher is null, but {flag} is given, which needs one: drop it or name a teacher")
