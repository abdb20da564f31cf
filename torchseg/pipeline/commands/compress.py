"""The compress command: prunes and clusters one trained network."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from torchseg.checkpoint import CARD, load_checkpoint, read_card
from torchseg.cli.command import CHECK_FAILED, DONE, other_command
from torchseg.config import CompressConfig
from torchseg.config.distillation import teacher_folders
from torchseg.harness.csv_table import read_table
from torchseg.models.external.program import check_layers
from torchseg.pipeline.export.trial import trial_stage
from torchseg.pipeline.plan.run_plan import RunPlan
from torchseg.pipeline.plan.time_estimate import TrainingEstimate, training_line
from torchseg.pipeline.run.dataset import Pictures, cached_pictures, check_stage, open_pictures
from torchseg.pipeline.run.folder import Stage
from torchseg.pipeline.run.installed import CHANNEL_PRUNING, check_installed
from torchseg.pipeline.run.recorded_config import PICTURE_FLAGS, data_of_run, run_of
from torchseg.pipeline.run.session import Session, open_session
from torchseg.pipeline.run.summary import checkpoint_argument
from torchseg.pipeline.stages.channel_pruning import channel_prune_epochs, channel_pruned_stage
from torchseg.pipeline.stages.compression import Compressor, check_compression, cluster_epochs, prune_epochs
from torchseg.pipeline.stages.copied import copied, given_teacher
from torchseg.pipeline.stages.distillation import supervision
from torchseg.pipeline.stages.export import PACKED, CertificateError, Exporter
from torchseg.pipeline.stages.ledger import LEDGER, LedgerError, ledger_stage
from torchseg.pipeline.stages.lengths import Lengths
from torchseg.pipeline.stages.training import Trainer, check_training
from torchseg.pipeline.stages.training_plan import Supervision

ORIGINAL = "original"
COMPRESSED = "compressed"
_LOG = logging.getLogger(__name__)


def compress(config: CompressConfig) -> int:
    """Runs the stages that are not done yet; returns 1 if a certificate or the ledger check fails, otherwise 0."""
    started = time.monotonic()
    compressed = compress_network(completed(config))
    if compressed.reports:
        _print_summary(compressed, seconds=time.monotonic() - started)
    return CHECK_FAILED if compressed.problems else DONE


@dataclass(frozen=True, kw_only=True)
class Compressed:
    """Result of `compress_network`.

    Attributes:
        checkpoint: folder of the last network.
        problems: failed certificates and ledger checks, one message each.
        reports: whether this process prints the result; the others of a distributed training stay quiet.
    """

    checkpoint: Path
    problems: list[str]
    reports: bool

    @property
    def run(self) -> Path:
        """Folder of the run."""
        return self.checkpoint.parent


def compress_network(config: CompressConfig) -> Compressed:
    """Runs the stages that are not done yet.

    Args:
        config: as `completed` returns it.

    Raises:
        ValueError: if the checkpoint is not one, or the data, the teacher or the flags do not fit it.
    """
    check_extras(config)
    card = read_card(config.checkpoint)
    check_layers(card.builder, what=str(config.checkpoint))
    spec = card.spec
    pictures = open_pictures(config, transfer_set=config.transfer_set).scaled((spec.mean, spec.std))
    if pictures.spec != spec:
        raise ValueError(
            f"{config.checkpoint} was made for {spec.describe()}, but the data gives {pictures.spec.describe()}; "
            "give its own --data and --image_size"
        )
    check_training(config, spec)
    if teachers := teacher_folders(config.teacher_checkpoint):
        given_teacher(teachers, pictures.spec)
    check_compression(*load_checkpoint(config.checkpoint), config, Lengths(config, pictures))
    with open_session(config) as session:
        job = _Job(session, pictures)
        problems = job.run()
    checkpoint = session.folder.path / job.stages[-1]
    return Compressed(checkpoint=checkpoint, problems=problems, reports=session.fabric.is_global_zero)


def check_extras(config: CompressConfig) -> None:
    """Raises ImportError if a package that the flags need is not installed."""
    if config.channel_sparsity:
        check_installed(CHANNEL_PRUNING)


def completed(config: CompressConfig) -> CompressConfig:
    """Fills in data, output folder and teacher from the checkpoint's run where the flags leave them out.

    A checkpoint in no run needs data; its output folder is beside it, and it has no teacher.

    Raises:
        ValueError: if the checkpoint is not one, or lies in no run and the flags name no data.
    """
    check_extras(config)
    read_card(config.checkpoint)  # fails early if it is not a checkpoint
    data = data_of_run(config, config.checkpoint)
    config = replace(config, **{name: getattr(data, name) for name in PICTURE_FLAGS})
    try:
        run = run_of(config.checkpoint)
    except ValueError:
        return replace(config, out=config.out or config.checkpoint.parent / COMPRESSED)
    beside = run / "teacher"
    if not config.teacher_checkpoint and (beside / CARD).is_file() and beside != config.checkpoint.resolve():
        config = replace(config, teacher_checkpoint=beside)
    return replace(config, out=config.out or run / COMPRESSED)


class _Job:
    """The stages of one compression, in order."""

    def __init__(self, session: Session[CompressConfig], pictures: Pictures) -> None:
        self.config, self.folder, self.fabric = session.config, session.folder, session.fabric
        self.pictures = pictures
        self.trainer = Trainer(self.config, pictures, self.folder, self.fabric)
        self.plan = RunPlan([])

    def run(self) -> list[str]:
        """Runs the remaining stages; returns a message for each that failed."""
        for stage in self._training():
            do = partial(self.folder.do, writes=self.fabric.is_global_zero, wait=self.fabric.barrier)
            self.plan.do(stage, do)
        problems: list[str] = []
        for stage in self._files() if self.fabric.is_global_zero else ():
            try:
                self.folder.do(stage)
            except (CertificateError, LedgerError) as error:
                _LOG.error("%s", error)
                problems.append(str(error))
        return problems

    @property
    def stages(self) -> list[str]:
        """Names of the compression stages, in order."""
        return [*(["channel_pruned"] if self.config.channel_sparsity else []), *self.config.stages]

    def _training(self) -> Iterator[Stage]:
        config, run = self.config, self.folder.path
        if config.pack:
            card = replace(read_card(config.checkpoint), stage=ORIGINAL)
            yield from trial_stage(card, ["onnx"], writes=self.fabric.is_global_zero)
        yield check_stage(self.pictures, self.config, writes=self.fabric.is_global_zero)
        self.pictures = cached_pictures(self.pictures, run)
        self.trainer = replace(self.trainer, pictures=self.pictures)
        yield copied(config.checkpoint, ORIGINAL, self.pictures.spec)
        teacher = config.teacher_checkpoint
        if len(teachers := teacher_folders(teacher)) > 1:
            yield given_teacher(teachers, self.pictures.spec)
            teacher = run / "teacher"
        learns_from = supervision(self.trainer, teacher, views=0)
        checkpoint = run / ORIGINAL
        if self.fabric.is_global_zero:
            self.plan = self._plan(learns_from)
        if config.channel_sparsity:
            yield channel_pruned_stage(self.trainer, config, learns_from, checkpoint)
            checkpoint = run / "channel_pruned"
        yield from Compressor(self.trainer, config, learns_from).stages(checkpoint)

    def _plan(self, learns_from: Supervision) -> RunPlan:
        """Of the trainings, each expected to be as fast as one of the network to compress."""
        config, trainer = self.config, self.trainer
        original = self.folder.path / ORIGINAL
        estimate = TrainingEstimate(trainer, lambda: load_checkpoint(original)[0], lambda: learns_from)
        epochs = {
            "channel_pruned": channel_prune_epochs(trainer, config),
            "pruned": prune_epochs(trainer, config),
            "clustered": cluster_epochs(trainer, config),
        }
        return RunPlan([training_line(stage, epochs[stage], estimate) for stage in self.stages])

    def _files(self) -> Iterator[Stage]:
        last, exporter = self.stages[-1], Exporter(self.pictures, self.folder)
        if self.config.pack:
            yield from exporter.stages(last, [("onnx", precision) for precision in PACKED], packed=True)
        yield ledger_stage(self.folder, [ORIGINAL, *self.stages])


def _print_summary(compressed: Compressed, *, seconds: float) -> None:
    print(f"\nDone in {seconds:.0f} s. What is inside (distinct values in a tensor, and in a channel of one):")
    print("\n".join(ledger_lines(compressed.run)))
    for problem in compressed.problems:
        print(f"\nFAILED: {problem}")
    print(f"\n  ledger   {compressed.run / LEDGER}")
    print(f"  next     {other_command('export')} {checkpoint_argument(compressed.checkpoint)}")


_LEDGER_COLUMNS = ("stage", "artifact", "tensor", "sparsity", "unique_values", "unique_per_channel")


def ledger_lines(run: Path) -> list[str]:
    """Sparsity and distinct values of every checkpoint and file of a compression, one line each."""
    lines = []
    for row in read_table(run / LEDGER, needed=_LEDGER_COLUMNS):
        if row["tensor"] == "total":
            values = f"{row['unique_values']} and {row['unique_per_channel']} values"
            lines.append(
                f"  {row['artifact']:34} {100 * float(row['sparsity']):6.2f} % zeros, {values}{_miou(run, row)}"
            )
    return lines


def _miou(run: Path, row: dict[str, str]) -> str:
    """The checkpoint's mean IoU on the validation split, as text; empty for model files."""
    if not row["artifact"].endswith(".safetensors"):
        return ""
    miou = read_card(run / row["stage"]).metrics.get("val_miou")
    return f", mean IoU {100 * miou:.2f} % on the validation split" if miou else ""
