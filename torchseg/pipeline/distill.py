"""The main job: teacher, student, files, certificates, scores, report."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

from lightning_fabric import Fabric

from torchseg.command import CHECK_FAILED, DONE
from torchseg.config import DistillConfig
from torchseg.data import GENERATED
from torchseg.pipeline.exporting import CertificateError, Exporter
from torchseg.pipeline.pictures import Pictures, check_stage, open_pictures
from torchseg.pipeline.run_folder import RunFolder, Stage
from torchseg.pipeline.scoring import ScoreError, report_stage, score_stage
from torchseg.pipeline.session import open_session
from torchseg.pipeline.summary import print_summary
from torchseg.pipeline.training import STUDENT_STEPS, TEACHER_STEPS, Student, Trainer, check_network, given_teacher
from torchseg.train import DistillationConfig

_LOG = logging.getLogger(__name__)


def distill(config: DistillConfig) -> int:
    """Runs every stage that is not done yet; 0 when all went well, 1 when a certificate or a score failed."""
    started = time.monotonic()
    pictures = open_pictures(config, transfer_set=config.transfer_set)
    _check(config, pictures)
    with open_session(config) as (folder, fabric):
        chain = Chain(config, pictures, folder, fabric)
        ran = list(chain.run())
        fabric.barrier()
        if fabric.is_global_zero:
            print_summary(folder, ran, problems=chain.problems, seconds=time.monotonic() - started)
    return CHECK_FAILED if chain.problems else DONE


def _check(config: DistillConfig, pictures: Pictures) -> None:
    """Refuses what cannot work before a folder is made for it."""
    check_network(config.student, pictures.spec)
    if config.teacher_checkpoint:
        given_teacher(config.teacher_checkpoint, pictures.spec)
    else:
        check_network(config.teacher, pictures.spec)


class Chain:
    """The stages of one run, in order; each is described when those before it are done: it hashes their files."""

    def __init__(self, config: DistillConfig, pictures: Pictures, folder: RunFolder, fabric: Fabric) -> None:
        self.config, self.pictures, self.folder, self.fabric = config, pictures, folder, fabric
        self.problems: list[str] = []

    def run(self) -> Iterator[str]:
        """Does what is left to do and gives the names of the stages that ran."""
        for stage in self._training():
            if self._do(stage):
                yield stage.name
        if not self.fabric.is_global_zero:  # files are written by one process; the others have done their share
            return
        for stage in self._files():
            try:
                if self.folder.do(stage):
                    yield stage.name
            except (CertificateError, ScoreError) as error:
                _LOG.error("%s", error)
                self.problems.append(str(error))

    def _do(self, stage: Stage) -> bool:
        return self.folder.do(stage, writes=self.fabric.is_global_zero, wait=self.fabric.barrier)

    def _training(self) -> Iterator[Stage]:
        config, pictures = self.config, self.pictures
        yield check_stage(pictures)
        trainer = Trainer(config, pictures, self.folder, self.fabric)
        if config.teacher_checkpoint:
            yield given_teacher(config.teacher_checkpoint, pictures.spec)
        else:
            epochs = trainer.epochs(config.teacher_epochs, steps=TEACHER_STEPS[config.data == GENERATED])
            yield trainer.with_labels(Student(stage="teacher", model=config.teacher, epochs=epochs))
        epochs = trainer.epochs(config.epochs, steps=STUDENT_STEPS[config.data == GENERATED])
        how = DistillationConfig(temperature=config.temperature, alpha=config.alpha)
        student = Student(stage="student", model=config.student, epochs=epochs)
        yield trainer.with_teacher(student, self.folder.path / "teacher", how)
        if config.twin:
            yield trainer.with_labels(Student(stage="twin", model=config.student, epochs=epochs))

    def _files(self) -> Iterator[Stage]:
        exporter = Exporter(self.pictures, self.folder)
        yield from exporter.stages("student", self.config.files)
        yield from exporter.stages("teacher", [file for file in self.config.files if file[1] == "fp32"])
        stages = ["teacher", "student", *(["twin"] if self.config.twin else [])]
        yield score_stage(self.pictures, self.folder, stages)
        yield report_stage(self.folder, stages)
