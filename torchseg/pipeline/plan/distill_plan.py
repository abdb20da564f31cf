"""The plan of a distillation, shown before it trains."""

from __future__ import annotations

from collections.abc import Iterator

from torchseg.config import DistillConfig
from torchseg.pipeline.plan.run_plan import PlannedStage, RunPlan
from torchseg.pipeline.plan.time_estimate import TrainingEstimate, training_line
from torchseg.pipeline.stages.compression import cluster_epochs, prune_epochs
from torchseg.pipeline.stages.distillation import (
    compression_flags,
    distillation_config,
    student_network,
    supervision,
    teacher_network,
    teacher_round,
)
from torchseg.pipeline.stages.export import ARTIFACTS, DENSE, PACKED
from torchseg.pipeline.stages.lengths import VIEWS
from torchseg.pipeline.stages.training import Trainer
from torchseg.pipeline.stages.training_plan import Supervision
from torchseg.plural import counted

# Seconds that were seen on the built-in images, to begin with; the first stages of their kind correct them.
_CONVERTERS_S, _FILE_S, _OPEN_S, _TIMING_S, _REPORT_S = 6.0, 0.4, 0.5, 8.0, 3.0
_CERTIFIED_ON = 64  # images


def distill_plan(config: DistillConfig, trainer: Trainer) -> RunPlan:
    """The plan of the stages after the images were read."""
    plans = _DistillPlan(config, trainer)
    return RunPlan([*plans.trainings(), *plans.files()])


class _DistillPlan:
    """The lines of the plan; networks are built and measured only for stages that are not done."""

    def __init__(self, config: DistillConfig, trainer: Trainer) -> None:
        self.config, self.trainer = config, trainer
        student = student_network(config, trainer)
        self.student = TrainingEstimate(trainer, lambda: trainer.untrained(student), self._taught)
        self.alone = TrainingEstimate(trainer, lambda: trainer.untrained(student), trainer.labels)
        self.epochs = student.epochs

    def trainings(self) -> Iterator[PlannedStage]:
        config, trainer, share = self.config, self.trainer, self.config.progressive
        if config.teacher and not config.teacher_checkpoint:
            network = teacher_network(config, trainer)
            first = TrainingEstimate(trainer, lambda: trainer.untrained(network), trainer.labels)
            later = TrainingEstimate(trainer, lambda: trainer.untrained(network), self._taught)
            for number in range(1, config.teacher_rounds + 1):
                estimate = later if number > 1 else first
                yield training_line(teacher_round(config, number), network.epochs, estimate, progressive=share)
        yield training_line("student", self.epochs, self.student, progressive=share)
        if config.baseline:
            yield training_line("baseline", self.epochs, self.alone, progressive=share)
        flags = compression_flags(config, trainer)
        if config.sparsity:
            yield training_line("pruned", prune_epochs(trainer, flags), self.student)
        if config.clusters:
            yield training_line("clustered", cluster_epochs(trainer, flags), self.student)

    def files(self) -> Iterator[PlannedStage]:
        """Exports, scores and report; their times follow from that of the student's step."""
        files, networks = self._file_count(), 1 + bool(self.config.teacher) + self.config.baseline
        networks += len(self.config.stages)
        images = len(self.trainer.pictures.test)

        def export() -> float | None:
            per_image = self._image_seconds()
            return None if per_image is None else _CONVERTERS_S + files * (_FILE_S + _CERTIFIED_ON * per_image)

        def score() -> float | None:
            per_image = self._image_seconds()
            return None if per_image is None else _TIMING_S + (files + networks) * (_OPEN_S + images * per_image)

        yield PlannedStage(
            name=f"{ARTIFACTS}/", title="export", amount=counted(files, "file"), seconds=export, kind="export"
        )
        amount = f"{counted(files + networks, 'file')}, {counted(images, 'image')}"
        yield PlannedStage(name="score", title="score", amount=amount, seconds=score, kind="score")
        yield PlannedStage(name="report", title="report", amount="", seconds=lambda: _REPORT_S, kind="report")

    def _taught(self) -> Supervision:
        """What the student learns from, with a teacher whose training need not be done: the speed is the same."""
        config, trainer = self.config, self.trainer
        if config.teacher is None:
            return trainer.labels()
        copied = trainer.folder.path / "teacher"
        if config.teacher_checkpoint:
            return supervision(trainer, copied, views=config.views)
        views = VIEWS.of(config.data) if config.views is None else config.views
        network = trainer.untrained(teacher_network(config, trainer))
        how = distillation_config(config)
        return trainer.taught_by(lambda: trainer.teacher(network, views=views), how, views=views)

    def _image_seconds(self) -> float | None:
        """Seconds of the student's prediction of one image; None if its training is too short to be measured."""
        if self.student.seconds(self.epochs) is None:
            return None
        return self.student.image_seconds

    def _file_count(self) -> int:
        files, stages = self.config.files, self.config.stages
        packed = sum(kind == "onnx" and precision in PACKED for kind, precision in files) if stages else 0
        student = sum(precision in DENSE["student"] for _, precision in files) if stages else 0
        teacher = sum(precision in DENSE["teacher"] for _, precision in files) if self.config.teacher else 0
        return len(files) + packed + student + teacher
