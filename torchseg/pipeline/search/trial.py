"""One trial of a search: distils the student of one configuration and evaluates it on the validation split."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from lightning_fabric import Fabric

from torchseg.checkpoint import read_card
from torchseg.config import SearchConfig
from torchseg.config.search import Value
from torchseg.harness.csv_table import read_table
from torchseg.pipeline.run.dataset import Pictures
from torchseg.pipeline.run.folder import RunFolder
from torchseg.pipeline.search.budget import CostMeter
from torchseg.pipeline.search.candidate import candidate
from torchseg.pipeline.search.record import TrialRecord, TrialRecords, stage_of
from torchseg.pipeline.stages.distillation import student_network, supervision
from torchseg.pipeline.stages.training import Trainer
from torchseg.train import Row

_LOG = logging.getLogger(__name__)

Report = Callable[[int, float], object]
"""Callback that takes the epoch and the mean IoU of every validation."""


class TrialRunner:
    """Runs the trials of one search, one after another, and records the result of each.

    Args:
        config: of the search.
        pictures: from the run's cache.
        folder: of the run; holds the trained teacher.
        fabric: device and processes.
    """

    def __init__(self, config: SearchConfig, pictures: Pictures, folder: RunFolder, fabric: Fabric) -> None:
        self.config, self.folder = config, folder
        self.trainer = Trainer(config, pictures, folder, fabric)  # shared, so that trials reuse cached teacher logits
        self.records = TrialRecords(folder.path)
        self.meter = CostMeter(config, pictures, folder)
        self.budget = self.meter.budget()

    def run(
        self, number: int, parameters: Mapping[str, Value], *, report: Report = lambda epoch, miou: None
    ) -> TrialRecord:
        """Runs or resumes the trial and returns its record; a trial that raises is recorded as failed.

        Raises:
            OSError: if its files cannot be written, which is not the configuration's fault.
        """
        record = TrialRecord(number=number, parameters=dict(parameters))
        self.records.write(record)
        started = time.monotonic()
        try:
            record = self._evaluate(record, report)
        except OSError:
            raise
        except Exception as error:  # an error of one configuration must not stop the search
            _LOG.exception("trial %d failed", number)
            reason = str(error).strip().splitlines() or [""]
            record = dataclasses.replace(record, status="failed", note=f"{type(error).__name__}: {reason[0]}")
        record = dataclasses.replace(record, seconds=round(time.monotonic() - started, 1))
        self.records.write(record)
        return record

    def _evaluate(self, record: TrialRecord, report: Report) -> TrialRecord:
        chosen = candidate(self.config, record.parameters)
        cost = self.meter.cost(chosen)
        record = dataclasses.replace(record, overrun=self.budget.overrun(cost), **dataclasses.asdict(cost))
        if record.overrun:
            return dataclasses.replace(record, status="over budget")
        self._train(chosen, stage_of(record.number), lambda row: report(int(row["epoch"]), row["val_miou"]))
        folder = self.folder.path / stage_of(record.number)
        miou = float(read_card(folder).metrics["val_miou"])
        return dataclasses.replace(record, status="done", val_miou=miou, validations=_validations(folder))

    def _train(self, chosen: SearchConfig, stage: str, on_epoch_end: Callable[[Row], object]) -> None:
        trainer = dataclasses.replace(self.trainer, config=chosen, on_epoch_end=on_epoch_end)
        student = student_network(chosen, trainer, stage=stage)
        learns_from = supervision(trainer, self.folder.path / "teacher", views=chosen.views)
        self.folder.do(trainer.from_start(student, learns_from))


def _validations(folder: Path) -> tuple[tuple[int, float], ...]:
    """Epoch and mean IoU of every validation, including those from before an interruption."""
    rows = read_table(folder / "curves.csv", needed=("epoch", "val_miou"))
    return tuple((int(row["epoch"]), float(row["val_miou"])) for row in rows if row["val_miou"])
