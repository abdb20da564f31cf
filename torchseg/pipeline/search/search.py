"""Searches the student's hyper-parameters: one teacher, many trials, one table."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torchseg.atomic_file import save_text
from torchseg.checkpoint import WEIGHTS, sha256_of
from torchseg.config import CompressionFlags, ExportFlags, SearchConfig
from torchseg.config.distillation import teacher_folders
from torchseg.console import STDOUT
from torchseg.pipeline.export.trial import planned, trial_stage
from torchseg.pipeline.run.dataset import Pictures, cached_pictures, check_stage, distill_pictures
from torchseg.pipeline.run.folder import is_run
from torchseg.pipeline.run.session import Session, open_session
from torchseg.pipeline.search.budget import SearchBudget
from torchseg.pipeline.search.candidate import check_space, given_trial
from torchseg.pipeline.search.engine import Engine, SearchTask
from torchseg.pipeline.search.nni.engine import NniEngine
from torchseg.pipeline.search.optuna import OptunaEngine
from torchseg.pipeline.search.record import TrialRecord
from torchseg.pipeline.search.results import BEST, TABLE, best_trial, save_search_figure, write_best, write_table
from torchseg.pipeline.search.trial import TrialRunner
from torchseg.pipeline.stages.default_networks import with_default_networks
from torchseg.pipeline.stages.distillation import check_distillation, teacher_stages
from torchseg.pipeline.stages.lengths import STUDENT_STEPS
from torchseg.pipeline.stages.training import Trainer
from torchseg.record import read_json

ENGINES: Mapping[str, Engine] = {"nni": NniEngine(), "optuna": OptunaEngine()}

_SHARED_SETTINGS = "search.json"
# Flags that change no trial's result: a search may be continued with other values.
_FREE = {"trials", "threads", "workers", "device", "cache_gb", "out", "fresh", "download", "baseline"}
_FREE |= {field.name for part in (CompressionFlags, ExportFlags) for field in dataclasses.fields(part)}
_DEFAULTS = {field.name: field.default for field in dataclasses.fields(SearchConfig) if field.name not in _FREE}


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """Result of a search.

    Attributes:
        table: one row per trial.
        figure: the trials as points.
        best: configuration of the best trial, for the distill command; None if no trial met the budget.
        verdict: the best trial in words, or why there is none.
    """

    table: Path
    figure: Path
    best: Path | None
    verdict: str


def run_search(config: SearchConfig) -> SearchResult:
    """Runs every trial that has not ended.

    Raises:
        ValueError: if a flag is wrong, or the folder holds trials that cannot be compared with new ones.
    """
    if "LT_CLI_USED" in os.environ:
        raise ValueError("a search trains in one process a trial; start it without the launcher of Fabric")
    ENGINES[config.engine].check()
    config = with_default_networks(config)
    pictures = distill_pictures(config)
    check_distillation(config, pictures.spec)
    check_space(config, pictures.spec)
    shared = _shared_settings(config, pictures)
    _check_shared_settings(config, shared)
    with open_session(config) as session:
        save_text(session.folder.path / _SHARED_SETTINGS, json.dumps(shared, indent=2) + "\n")
        return Search(session, pictures).run()


class Search:
    """One search in its run folder."""

    def __init__(self, session: Session[SearchConfig], pictures: Pictures) -> None:
        self.config, self.folder, self.fabric = session.config, session.folder, session.fabric
        self.folder.do(check_stage(pictures, self.config))
        self.trainer = Trainer(self.config, cached_pictures(pictures, self.folder.path), self.folder, self.fabric)

    def run(self) -> SearchResult:
        """Trains the teacher, runs the configuration as given and the engine's trials, and writes the result."""
        config, spec = self.config, self.trainer.pictures.spec
        student = planned(config.student, config.student_arguments, spec, stage="student")
        for trial in trial_stage(student, ["onnx"]):  # the budget is measured on an ONNX file
            self.folder.do(trial)
        for stage in teacher_stages(config, self.trainer):
            self.folder.do(stage)
        runner = TrialRunner(self.config, self.trainer.pictures, self.folder, self.fabric)
        STDOUT.info(f"Budget of the {self.config.budget_precision} ONNX file: {runner.budget.text}")
        task = SearchTask(
            config=self.config,
            records=runner.records,
            given=given_trial(self.config),
            run=runner.run,
            on_trial_end=lambda record: self._on_trial_end(record, runner),
        )
        given = runner.records.read(0)
        if given is None or not given.ended:
            task.on_trial_end(runner.run(0, {}))
        if task.open:
            ENGINES[self.config.engine].run(task)
        return self._conclude(runner)

    def _on_trial_end(self, record: TrialRecord, runner: TrialRunner) -> None:
        """Tells the user of an ended trial and updates the table."""
        STDOUT.info(_line(record, self.config))
        write_table(self.folder.path / TABLE, runner.records.ended(), self.config, runner.budget)

    def _conclude(self, runner: TrialRunner) -> SearchResult:
        """Writes table, figure and best configuration."""
        path, records = self.folder.path, [each for each in runner.records.ended() if self._asked(each)]
        write_table(path / TABLE, records, self.config, runner.budget)
        figure = path / "figures" / "search.png"
        save_search_figure(figure, records, self.config.ranges, runner.budget)
        best = best_trial(records)
        if best is None:
            (path / BEST).unlink(missing_ok=True)
            return SearchResult(table=path / TABLE, figure=figure, best=None, verdict=_why_none(records, runner.budget))
        epochs = self.trainer.epochs(self.config.epochs, steps=STUDENT_STEPS)
        write_best(path / BEST, best, self.config, epochs=epochs)
        return SearchResult(table=path / TABLE, figure=figure, best=path / BEST, verdict=_verdict(best, records[0]))

    def _asked(self, record: TrialRecord) -> bool:
        """Whether the trial is one of this call's `--trials`; an earlier call may have run more."""
        return record.number <= self.config.trials


def _shared_settings(config: SearchConfig, pictures: Pictures) -> dict[str, object]:
    """The settings that all trials of a search share; trials can be compared only under equal settings."""
    values = {name: value for name, value in dataclasses.asdict(config).items() if name not in _FREE}
    shared = {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}
    if config.teacher_checkpoint:
        teachers = teacher_folders(config.teacher_checkpoint)
        shared["teacher_weights"] = " ".join(sha256_of(folder / WEIGHTS) for folder in teachers)
    return shared | {"pictures": pictures.fingerprint}


def _check_shared_settings(config: SearchConfig, shared: Mapping[str, object]) -> None:
    """Raises ValueError if the folder holds a search whose trials cannot be compared with new ones."""
    path = config.run / _SHARED_SETTINGS
    if config.fresh or not is_run(config.run):
        return
    way_out = "give another --out, or --fresh to start over"
    if not path.is_file():
        raise ValueError(f"--out {config.run} holds a run of another command; {way_out}")
    recorded = _DEFAULTS | read_json(path, remedy=way_out)  # an older search does not name flags that came later
    for name in {**recorded, **shared}:
        if recorded.get(name) != shared.get(name):
            raise ValueError(
                f"{config.run} holds a search with {name} {recorded.get(name)}, and {shared.get(name)} came; "
                f"its trials cannot be compared with new ones: {way_out}"
            )


def _line(record: TrialRecord, config: SearchConfig) -> str:
    size = "" if record.size_bytes is None else f", {record.size_bytes / 1e3:.1f} kB"
    time = "" if record.latency_ms is None else f", {record.latency_ms:.2f} ms"
    what = {
        "done": f"{100 * (record.val_miou or 0):.2f} % mean IoU{size}{time}",
        "over budget": f"over budget{size}{time}",
    }.get(record.status, f"failed: {record.note}")
    chosen = ", ".join(f"{name}={value}" for name, value in record.parameters.items())
    return f"trial {record.number} of {config.trials}: {what}  ({chosen or 'as given'})"


def _verdict(best: TrialRecord, given: TrialRecord) -> str:
    miou = f"trial {best.number}, {100 * (best.val_miou or 0):.2f} % mean IoU on the validation split"
    if best.number == 0:
        return f"{miou}: no trial beat the configuration as given"
    if given.val_miou is None:
        return f"{miou}; the configuration as given is {given.status}"
    return f"{miou}, {100 * ((best.val_miou or 0) - given.val_miou):+.2f} points against the configuration as given"


def _why_none(records: list[TrialRecord], budget: SearchBudget) -> str:
    over = [record for record in records if record.status == "over budget"]
    if over:
        least = min(over, key=lambda record: record.overrun)
        size = f"{(least.size_bytes or 0) / 1e3:.1f} kB"
        cost = size if least.latency_ms is None else f"{size} and {least.latency_ms:.2f} ms"
        return (
            f"no trial is within the budget of {budget.text}; the nearest, trial {least.number}, takes {cost}: raise "
            "the budget, or let the space reach smaller networks"
        )
    return f"every trial failed; trial {records[0].number} with {records[0].note}"
