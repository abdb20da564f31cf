"""The compress command: prunes and clusters one trained network."""

from __future__ import annotations

import csv
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from torchseg.checkpoint import load_checkpoint, read_card
from torchseg.cli import CHECK_FAILED, DONE, other_command
from torchseg.config import CompressConfig
from torchseg.pipeline.installed import CHANNEL_PRUNING, check_installed
from torchseg.pipeline.run.dataset import Pictures, cached_pictures, check_stage, open_pictures
from torchseg.pipeline.run.folder import Stage
from torchseg.pipeline.run.recorded_config import PICTURE_FLAGS, recorded_config, run_of
from torchseg.pipeline.run.session import Session, open_session
from torchseg.pipeline.stages.channel_pruning import channel_pruned_stage
from torchseg.pipeline.stages.compression import Compressor, check_compression, recovery
from torchseg.pipeline.stages.export import PACKED, CertificateError, Exporter
from torchseg.pipeline.stages.ledger import LEDGER, LedgerError, ledger_stage
from torchseg.pipeline.stages.training import Lengths, Trainer, check_loss, copied, given_teacher
from torchseg.train import DistillationConfig

ORIGINAL = "original"
_LOG = logging.getLogger(__name__)


def compress(config: CompressConfig) -> int:
    """Runs the stages that are not done yet; returns 1 if a certificate or the ledger check fails, otherwise 0."""
    started = time.monotonic()
    if config.channel_sparsity:
        check_installed(CHANNEL_PRUNING)
    read_card(config.checkpoint)  # fails early if it is not a checkpoint
    config = _completed(config)
    spec = read_card(config.checkpoint).spec
    pictures = open_pictures(config, transfer_set=config.transfer_set).scaled((spec.mean, spec.std))
    if pictures.spec != spec:
        raise ValueError(
            f"{config.checkpoint} was made for {spec.describe()}, but the data gives {pictures.spec.describe()}; "
            "give its own --data and --image_size"
        )
    check_loss(config, spec)
    if config.teacher_checkpoint:
        given_teacher(config.teacher_checkpoint, pictures.spec)
    check_compression(*load_checkpoint(config.checkpoint), config, Lengths(config, pictures))
    with open_session(config) as session:
        job = _Job(session, pictures)
        problems = job.run()
        if session.fabric.is_global_zero:
            _print_summary(session.folder.path, problems, seconds=time.monotonic() - started)
    return CHECK_FAILED if problems else DONE


def _completed(config: CompressConfig) -> CompressConfig:
    """Fills in data, output folder and teacher from the checkpoint's run where the flags leave them out."""
    checkpoint, run = config.checkpoint, None if config.root and config.out else run_of(config.checkpoint)
    if run and not config.root:
        recorded = recorded_config(run)
        config = replace(config, **{name: getattr(recorded, name) for name in PICTURE_FLAGS})
    beside = run / "teacher" if run else None
    if beside and not config.teacher_checkpoint and (beside / "card.json").is_file() and beside != checkpoint.resolve():
        config = replace(config, teacher_checkpoint=beside)
    return replace(config, out=config.out or (run / "compressed" if run else None))


class _Job:
    """The stages of one compression, in order."""

    def __init__(self, session: Session[CompressConfig], pictures: Pictures) -> None:
        self.config, self.folder, self.fabric = session.config, session.folder, session.fabric
        self.pictures = pictures
        self.trainer = Trainer(self.config, pictures, self.folder, self.fabric)

    def run(self) -> list[str]:
        """Runs the remaining stages; returns a message for each that failed."""
        for stage in self._training():
            self.folder.do(stage, writes=self.fabric.is_global_zero, wait=self.fabric.barrier)
        problems: list[str] = []
        for stage in self._files() if self.fabric.is_global_zero else ():
            try:
                self.folder.do(stage)
            except (CertificateError, LedgerError) as error:
                _LOG.error("%s", error)
                problems.append(str(error))
        return problems

    @property
    def _stages(self) -> list[str]:
        return [*(["channel_pruned"] if self.config.channel_sparsity else []), *self.config.stages]

    def _training(self) -> Iterator[Stage]:
        config, run = self.config, self.folder.path
        yield check_stage(self.pictures, self.config, writes=self.fabric.is_global_zero)
        self.pictures = cached_pictures(self.pictures, run)
        self.trainer = replace(self.trainer, pictures=self.pictures)
        yield copied(config.checkpoint, ORIGINAL, self.pictures.spec)
        how = DistillationConfig(temperature=config.temperature, alpha=config.alpha)
        learns_from = recovery(self.trainer, config.teacher_checkpoint, how)
        checkpoint = run / ORIGINAL
        if config.channel_sparsity:
            yield channel_pruned_stage(self.trainer, config, learns_from, checkpoint)
            checkpoint = run / "channel_pruned"
        yield from Compressor(self.trainer, config, learns_from).stages(checkpoint)

    def _files(self) -> Iterator[Stage]:
        last, exporter = self._stages[-1], Exporter(self.pictures, self.folder)
        if self.config.pack:
            yield from exporter.stages(last, [("onnx", precision) for precision in PACKED], packed=True)
        yield ledger_stage(self.folder, [ORIGINAL, *self._stages])


def _print_summary(run: Path, problems: list[str], *, seconds: float) -> None:
    print(f"\nDone in {seconds:.0f} s. What is inside (distinct values in a tensor, and in a channel of one):")
    with (run / LEDGER).open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["tensor"] == "total":
                values = f"{row['unique_values']} and {row['unique_per_channel']} values"
                print(f"  {row['artifact']:34} {100 * float(row['sparsity']):6.2f} % zeros, {values}{_miou(run, row)}")
    for problem in problems:
        print(f"\nFAILED: {problem}")
    last = row["stage"]
    print(f"\n  ledger   {run / LEDGER}")
    print(f"  next     {other_command('export')} {run / last}")


def _miou(run: Path, row: dict[str, str]) -> str:
    """The checkpoint's mean IoU on the validation split, as text; empty for model files."""
    if not row["artifact"].endswith(".safetensors"):
        return ""
    miou = read_card(run / row["stage"]).metrics.get("val_miou")
    return f", mean IoU {100 * miou:.2f} % on the validation part" if miou else ""
