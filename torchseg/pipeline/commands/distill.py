"""The distill command: teacher, student, compression, model files, certificates, scores, ledger, report."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from torchseg.checkpoint import Card, read_card
from torchseg.cli.command import CHECK_FAILED, DONE
from torchseg.config import DistillConfig
from torchseg.config.distillation import teacher_folders
from torchseg.models import build_model, parse_arguments
from torchseg.pipeline.commands.cross_validation import cross_validate
from torchseg.pipeline.export.trial import planned, trial_stage
from torchseg.pipeline.plan.distill_plan import distill_plan
from torchseg.pipeline.plan.run_plan import RunPlan
from torchseg.pipeline.run.dataset import Pictures, cached_pictures, check_stage, open_pictures
from torchseg.pipeline.run.folder import Stage
from torchseg.pipeline.run.installed import check_formats
from torchseg.pipeline.run.normalisation import distill_scaling
from torchseg.pipeline.run.session import Session, open_session
from torchseg.pipeline.run.summary import summary_lines
from torchseg.pipeline.stages.compression import Compressor, check_compression
from torchseg.pipeline.stages.default_networks import with_default_networks
from torchseg.pipeline.stages.distillation import (
    check_distillation,
    check_supervision,
    compression_flags,
    student_network,
    supervision,
    teacher_stages,
)
from torchseg.pipeline.stages.export import DENSE, CertificateError, Exporter, export_beside
from torchseg.pipeline.stages.ledger import LedgerError, ledger_stage
from torchseg.pipeline.stages.lengths import Lengths
from torchseg.pipeline.stages.scoring import ScoreError, not_asked_for, report_stage, score_stage
from torchseg.pipeline.stages.training import Trainer
from torchseg.pipeline.students.choice import StudentChoice, choose_student

_LOG = logging.getLogger(__name__)


def distill(config: DistillConfig) -> int:
    """Runs every stage that is not done yet; returns 1 if a certificate, a score or the ledger fails, otherwise 0."""
    if config.folds:
        return cross_validate(config, distill, target=config.target)
    started = time.monotonic()
    check_formats(kind for kind, _ in config.files)
    job = _prepared(config)
    with open_session(job.config) as session:
        chain = Chain(session, job)
        ran = list(chain.run())
        session.fabric.barrier()
        if session.fabric.is_global_zero:
            seconds = time.monotonic() - started
            print("\n" + "\n".join(summary_lines(session.folder, ran, problems=chain.problems, seconds=seconds)))
    return CHECK_FAILED if chain.problems else DONE


def distill_student(config: DistillConfig) -> Path:
    """Runs the stages of `distill` up to the last network, exports nothing, and returns the folder of that network.

    Raises:
        ValueError: if the data, a network or the loss is unknown, or they do not fit each other.
    """
    job = _prepared(config)
    with open_session(job.config) as session:
        chain = Chain(session, job)
        for _ in chain.train():
            pass
        session.fabric.barrier()
    return session.folder.path / chain.last


@dataclass(frozen=True, kw_only=True)
class _Job:
    """A run whose flags were checked.

    Attributes:
        config: the flags; names the student.
        pictures: of the run.
        choice: how the student was chosen; None if the flags name it.
    """

    config: DistillConfig
    pictures: Pictures
    choice: StudentChoice | None


def _prepared(config: DistillConfig) -> _Job:
    """Opens the data, chooses the student if the flags ask for it, and checks that everything fits."""
    config = with_default_networks(config)
    pictures = open_pictures(config, transfer_set=config.transfer_set)
    choice = None
    if config.chooses_student:
        check_supervision(config, pictures.spec)
        choice = choose_student(config, pictures.spec)
        config = choice.config
    pictures = pictures.scaled(distill_scaling(config))
    _check(config, pictures)
    return _Job(config=config, pictures=pictures, choice=choice)


def _check(config: DistillConfig, pictures: Pictures) -> None:
    """Raises for flags that cannot work, before a run folder is created."""
    check_distillation(config, pictures.spec)
    arguments = parse_arguments(config.student_arguments)
    card = Card(builder=config.student, arguments=arguments, spec=pictures.spec, stage="student")
    network = build_model(card.builder, arguments, card.spec).eval()
    lengths = Lengths(config, pictures)
    check_compression(network, card, compression_flags(config, lengths), lengths)


class Chain:
    """The stages of one run, in order; each is created once those before it are done, because it hashes their files."""

    def __init__(self, session: Session[DistillConfig], job: _Job) -> None:
        self.config, self.folder, self.fabric = session.config, session.folder, session.fabric
        self.pictures, self.choice = job.pictures, job.choice
        self.problems: list[str] = []
        self.done_beside: set[str] = set()
        self.asked: set[str] = set()
        self.trainer = Trainer(self.config, self.pictures, self.folder, self.fabric)
        self.plan = RunPlan([])

    @property
    def last(self) -> str:
        """The stage whose network is the result."""
        return ("student", *self.config.stages)[-1]

    def run(self) -> Iterator[str]:
        """Runs the remaining stages and yields the names of those that ran."""
        for trial in self._trials():
            self._do(trial)
        yield from self.train()
        if not self.fabric.is_global_zero:  # one process writes the files
            return
        for stage in self._files():
            try:
                if self.plan.do(stage, self.folder.do) or stage.name in self.done_beside:
                    yield stage.name
            except (CertificateError, ScoreError, LedgerError) as error:
                _LOG.error("%s", error)
                self.problems.append(str(error))

    def train(self) -> Iterator[str]:
        """Runs the remaining training stages and yields the names of those that ran."""
        for stage in self._training():
            if self._do(stage):
                yield stage.name

    def _do(self, stage: Stage) -> bool:
        do = partial(self.folder.do, writes=self.fabric.is_global_zero, wait=self.fabric.barrier)
        return self.plan.do(stage, do)

    def _training(self) -> Iterator[Stage]:
        config = self.config
        if self.choice:
            yield self.choice.stage(writes=self.fabric.is_global_zero)
        yield check_stage(self.pictures, config, writes=self.fabric.is_global_zero)
        pictures = self.pictures = cached_pictures(self.pictures, self.folder.path)
        trainer = self.trainer = replace(self.trainer, pictures=pictures)
        if self.fabric.is_global_zero:
            self.plan = distill_plan(config, trainer)
        teacher = self.folder.path / "teacher" if config.teacher else None
        yield from teacher_stages(config, trainer)
        learns_from = supervision(trainer, teacher, views=config.views)
        student = student_network(config, trainer)
        yield trainer.from_start(student, learns_from)
        if config.baseline:
            yield trainer.from_start(replace(student, stage="baseline", learning_rate=config.baseline_learning_rate))
        untrained = partial(trainer.untrained, student) if config.prune_at_start else None
        compressor = Compressor(trainer, compression_flags(config, trainer), learns_from, untrained)
        yield from compressor.stages(self.folder.path / "student")

    def _trials(self) -> Iterator[Stage]:
        """Tries to export each network before one is trained, to the formats that it will be exported to."""
        config, spec, writes = self.config, self.pictures.spec, self.fabric.is_global_zero
        student = planned(config.student, config.student_arguments, spec, stage="student")
        yield from trial_stage(student, {kind for kind, _ in config.files}, writes=writes)
        if config.teacher is None:
            return
        dense = {kind for kind, precision in config.files if precision in DENSE["teacher"]}
        given = teacher_folders(config.teacher_checkpoint)
        teachers = [
            replace(read_card(folder), spec=spec, stage=f"teacher{number}" if len(given) > 1 else "teacher")
            for number, folder in enumerate(given, start=1)
        ]
        for teacher in teachers or [planned(config.teacher, config.teacher_arguments, spec, stage="teacher")]:
            yield from trial_stage(teacher, dense, writes=writes)

    def _asked(self, stages: Iterator[Stage]) -> Iterator[Stage]:
        """The stages, whose names are kept: they write the files that this command asks for."""
        for stage in stages:
            self.asked.add(stage.name)
            yield stage

    def _files(self) -> Iterator[Stage]:
        """Exports the last network at every precision, and the networks before it only as needed for comparison."""
        exporter, files = Exporter(self.pictures, self.folder), self.config.files
        networks = [*(["teacher"] if self.config.teacher else []), "student"]
        dense = {
            network: [file for file in files if file[1] in DENSE[network]]
            for network in reversed(networks)
            if network != self.last
        }
        # The teacher's files take about as long as all others together.
        beside = dict([dense.popitem()]) if dense else {}
        with export_beside(exporter, beside, cores=self.config.cores) as finished:
            yield from self._asked(exporter.stages(self.last, files, packed=bool(self.config.stages)))
            for network, chosen in dense.items():
                yield from self._asked(exporter.stages(network, chosen))
            self.done_beside = finished()
        for network, chosen in beside.items():
            yield from self._asked(exporter.stages(network, chosen))
        stages = [*networks, *(["baseline"] if self.config.baseline else []), *self.config.stages]
        others = not_asked_for(self.folder, self.asked)
        yield score_stage(self.pictures, self.folder, stages, without=others)
        yield ledger_stage(self.folder, stages, without=others)
        yield report_stage(self.folder, stages, target=self.config.target)
