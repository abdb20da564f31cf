"""Flags of the main job."""

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
        teacher: Network of the teacher, or smp:ARCHITECTURE:ENCODER for any of segmentation_models_pytorch; null: the
            student, and what it is compressed to, learn from the masks alone.
        teacher_arguments: What its builder takes, e.g. base_width=64,dropout=0.1.
        teacher_checkpoint: Folder of a trained teacher; none is trained then.
        student: Network of the student; the same choice.
        student_arguments: What its builder takes, e.g. base_width=16,depth=4,batch_norm=false.
        epochs: Epochs of the student, counted in labelled pictures. Default: as many as make 640 steps on scenes,
            1440 otherwise.
        teacher_epochs: Epochs of the teacher. Default: as many as make 320 steps on scenes, 1680 otherwise.
        transfer_set: Folder with pictures without masks, on which the student listens to the teacher alone.
            They make up half of every batch.
        views: Random views of each picture that the teacher is asked about, at least so many; then they come again.
            0: a new view every time. Default: 1 on scenes, 0 otherwise.
        soft_loss: How the two opinions are compared: mean divergence of the pixels' classes. The other two repeat
            published mistakes (docs/explanation/recipes.md): summed over a picture, or softmax along the width.
        baseline: Also train the student without its teacher, so that the gain is a number.
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
