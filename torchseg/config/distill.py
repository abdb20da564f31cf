"""Flags of the `distill` command."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from torchseg.checks import check_positive
from torchseg.config.base import MODEL_NAMES, TargetName
from torchseg.config.compression_flags import CompressionFlags
from torchseg.config.distillation import DistillationConfig
from torchseg.config.export import ExportFlags
from torchseg.config.training import FromStartConfig, NormalisationFlags, check_epochs, check_folds, check_rates
from torchseg.modelfile.kinds import TARGET_FORMATS

AUTO = "auto"  # a network that the command chooses
_MOST_ROUNDS, _LARGEST_WEIGHT = 5, 1000


@dataclass(frozen=True, kw_only=True)
class DistillConfig(CompressionFlags, ExportFlags, DistillationConfig, NormalisationFlags, FromStartConfig):
    """Trains a teacher, distils a small student, prunes and clusters it, and exports, certifies and scores them.

    Example:
        --data folder --root mine --image_size 128 --out runs/mine

    Attributes:
        teacher: Teacher network: {known}, smp:ARCHITECTURE:ENCODER, torchvision:NAME, timm:ENCODER,
            code:FILE:FUNCTION, or auto: on photos one that starts from ImageNet, if its weights are installed, else
            attention_unet. null trains the student and its compressed versions without a teacher, from the masks alone.
        teacher_arguments: Arguments of the teacher's builder, e.g. base_width=64,dropout=0.1.
        teacher_checkpoint: Folder of a trained teacher, to use instead of training one; several, separated by commas,
            teach with the mean of their probabilities.
        student: Student network: {known}, smp:ARCHITECTURE:ENCODER, torchvision:NAME, timm:ENCODER,
            code:FILE:FUNCTION, or auto: on photos lite_student, if its ImageNet weights are installed, else fast_unet.
            With --max_latency_ms or --max_size_kb, auto measures the networks that `students` lists and takes the one
            with the most multiply-adds within these limits.
        max_latency_ms: With --student auto: largest latency of the student's int8 file in milliseconds, the fastest
            prediction of one image on one thread of this machine.
        max_size_kb: With --student auto: largest size of that file in kilobytes.
        student_arguments: Arguments of the student's builder, e.g. base_width=16,depth=4,batch_norm=false.
        epochs: Epochs of the student, counted in labelled images. Default: enough for 960 steps on scenes, 1440
            otherwise.
        teacher_epochs: Epochs of the teacher. Default: enough for 640 steps on scenes, 1680 otherwise.
        teacher_learning_rate: Peak learning rate of the teacher. Default: that of the student.
        teacher_schedule: Learning rate schedule of the teacher. Default: that of the student.
        teacher_rounds: Rounds of teacher training. From the second on, the teacher is trained anew and also learns from
            the teacher of the round before, on the images without masks.
        transfer_set: Folder of images without masks, on which the student learns from the teacher alone. Default: those
            of the data set; if it has none, the training images, in other views.
        views: Random views (augmentations) of each image that the teacher is asked about before the same views repeat,
            at least this many; repeated views reuse the teacher's stored logits. 0 draws a new view every time.
            Default: 2 on scenes, 0 otherwise.
        feature_weight: Weight of the distance between the features that student and teacher compute their logits from,
            through a projection that is trained with the student and then dropped; 0 leaves it out. Recovery after
            pruning and clustering learns from the logits alone.
        prune_at_start: Prune the student's initial weights, and train the pruned network from there for --prune_epochs,
            by default as long as the student. The student is trained without zeros all the same, for comparison.
        baseline: Also train the same student without a teacher, to measure what distillation gains.
        baseline_learning_rate: Peak learning rate of that baseline. Default: that of the student.
        folds: Cross-validation, for few images: cut the images of --data folder into this many parts, run the whole
            chain once for each, with that part as the test split, and show mean and spread. Default: one run.
        target: Where the files will run, which decides the one that summary and report recommend: phone, server-cpu,
            browser, or smallest for the fewest bytes. Default: phone if tflite is among the formats, else server-cpu.
    """

    teacher: str | None = field(default=AUTO, metadata={"known": MODEL_NAMES})
    teacher_arguments: str = ""
    teacher_checkpoint: Path | None = None
    student: str = field(default=AUTO, metadata={"known": MODEL_NAMES})
    student_arguments: str = ""
    max_latency_ms: float | None = None
    max_size_kb: float | None = None
    epochs: int = 0
    teacher_epochs: int = 0
    teacher_learning_rate: float | None = None
    teacher_schedule: str = ""
    teacher_rounds: int = 1
    transfer_set: Path | None = None
    views: int | None = None
    feature_weight: float = 0.0
    prune_at_start: bool = False
    baseline: bool = field(default=False, metadata={"was": "twin"})
    baseline_learning_rate: float | None = None
    folds: int = 0
    target: TargetName | None = None

    def __post_init__(self) -> None:
        FromStartConfig.__post_init__(self)
        ExportFlags.__post_init__(self)
        CompressionFlags.__post_init__(self)
        DistillationConfig.__post_init__(self)
        NormalisationFlags.__post_init__(self)
        check_epochs(epochs=self.epochs, teacher_epochs=self.teacher_epochs)
        check_rates(
            teacher_learning_rate=self.teacher_learning_rate, baseline_learning_rate=self.baseline_learning_rate
        )
        if not 1 <= self.teacher_rounds <= _MOST_ROUNDS:
            raise ValueError(f"teacher_rounds is {self.teacher_rounds}; give 1 to {_MOST_ROUNDS}, e.g. 2")
        if self.teacher_checkpoint and self.teacher_rounds > 1:
            raise ValueError(
                f"teacher_rounds is {self.teacher_rounds}, but teacher_checkpoint is given, which is not trained: "
                "give one of the two"
            )
        if self.prune_at_start and not self.sparsity:
            raise ValueError("prune_at_start is given, but sparsity is 0: give --sparsity, e.g. 0.8")
        self._check_features()
        self._check_student()
        self._check_folds()
        formats = {kind for kind, _ in self.files}
        if self.target and not formats & {*TARGET_FORMATS[self.target]}:
            wanted = " or ".join(TARGET_FORMATS[self.target])
            raise ValueError(f"target is {self.target}, but formats is {self.formats}; add {wanted} to the formats")
        if self.views is not None and self.views < 0:
            raise ValueError(f"views is {self.views}; give 0 for a new view every time, or a number of views, e.g. 2")
        for flag in ("teacher_checkpoint", "transfer_set", "baseline"):
            if self.teacher is None and getattr(self, flag):
                raise ValueError(f"teacher is null, but {flag} is given, which needs one: drop it or name a teacher")

    @property
    def chooses_student(self) -> bool:
        """Whether the student is chosen by measurement."""
        return self.student == AUTO and (self.max_latency_ms is not None or self.max_size_kb is not None)

    def _check_features(self) -> None:
        if not 0 <= self.feature_weight <= _LARGEST_WEIGHT:
            raise ValueError(f"feature_weight is {self.feature_weight}; give 0 to {_LARGEST_WEIGHT}, e.g. 1")
        if self.feature_weight and self.prune_at_start:
            raise ValueError(
                "feature_weight and prune_at_start are given; a network that is pruned while it trains learns from "
                "logits alone: drop one of the two"
            )

    def _check_folds(self) -> None:
        check_folds(self.folds, self.fold)
        if self.folds and self.chooses_student:
            raise ValueError("folds is given, but student is auto with limits: choose by `students`, and name it")

    def _check_student(self) -> None:
        limits = {"max_latency_ms": self.max_latency_ms, "max_size_kb": self.max_size_kb}
        for name, most in limits.items():
            if most is not None and self.student != AUTO:
                raise ValueError(f"{name} is {most}, but student is '{self.student}': drop it, or give --student auto")
            if most is not None:
                check_positive(name, most, example="5")
        if self.chooses_student and self.student_arguments:
            raise ValueError(
                f"student_arguments is '{self.student_arguments}', but student and arguments are chosen by latency and "
                "size: drop them, or name the student"
            )
