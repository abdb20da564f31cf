"""Trains and exports what is missing; a failure does not stop the rest."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torchseg.atomic_file import partial_file
from torchseg.checkpoint import sha256_of
from torchseg.pipeline.grid.jobs import Outcome
from torchseg.pipeline.grid.plan import TRAININGS, GridPlan, Training
from torchseg.pipeline.run.dataset import CACHE
from torchseg.pipeline.run.folder import RunFolder, Stage
from torchseg.pipeline.stages.export import ARTIFACTS

Launch = Callable[[Sequence[Sequence[str]], Path], list[Outcome]]
STAGE = "trained"  # name that scripts/train.py gives its network
RECORD = "training.json"
# Flags that do not change a training's result, or whose effect is part of the data set's fingerprint.
_NO_INPUT = ("root", "download", "workers", "device", "cache_gb", "out", "fresh", "threads")
# Flags that earlier grids did not record, with what was done then.
_LATER = {"crop": "random", "flip": "random", "split": "auto"}


@dataclass(frozen=True, kw_only=True)
class TrainerRecord:
    """What a grid records of a training process: its peak memory in MiB, and its threads."""

    peak_rss_mb: float | None = None
    threads: int | None = None


@dataclass(frozen=True, kw_only=True)
class TrainingRunner:
    """Makes the trainings of a grid, each in an ordinary run folder below `OUT/trainings/`.

    Attributes:
        plan: the trainings and files to make.
        folder: of the grid.
        fingerprints: of the data sets, by name of the training.
        launch: runs commands in turn and writes their output to a log.
        threads: of one training.
    """

    plan: GridPlan
    folder: RunFolder
    fingerprints: Mapping[str, str]
    launch: Launch
    threads: int

    def is_done(self, training: Training) -> bool:
        """Whether nothing is left to train or export."""
        return self.folder.is_done(self.train_stage(training)) and not self._missing(training)

    def make(self, training: Training) -> dict[str, str]:
        """Trains and exports what is missing; returns the reason for each file that could not be made, by its name."""
        files = self.plan.files(training)
        trained = self.folder.is_done(self.train_stage(training))
        wanted = self._missing(training) if trained else [file for file in files if file != "torch"]
        for file in wanted:
            self._forget(training, file)
        commands = ([] if trained else [self._train_command(training)]) + self._export_commands(training, wanted)
        outcomes = self.launch(commands, self.log(training)) if commands else []
        if not trained and not self._note_training(training, outcomes):
            reason = f"training: {outcomes[0].reason if outcomes else 'stopped'}"
            return dict.fromkeys(files, reason)
        reasons = dict.fromkeys(wanted, _reason(outcomes))
        missing = self._note_files(training, wanted)
        if len(wanted) > 1:  # a command stops at the first file that fails, so try the missing ones one by one
            for file in missing:
                reasons[file] = _reason(self.launch(self._export_commands(training, [file]), self.log(training)))
            missing = self._note_files(training, missing)
        return {file: f"export: {reasons[file]}" for file in missing}

    def run(self, training: Training) -> Path:
        """The training's own run folder."""
        return self.folder.path / TRAININGS / training.name

    def log(self, training: Training) -> Path:
        """The log file with the output of its commands."""
        return self.folder.path / "logs" / f"{training.name}.log"

    def artifact(self, training: Training, file: str) -> Path:
        """Path of a training's file."""
        return self.run(training) / (STAGE if file == "torch" else f"{ARTIFACTS}/{STAGE}.{file}")

    def train_stage(self, training: Training) -> Stage:
        """The training as a stage of the grid's folder, to record that it is done."""
        config = dataclasses.asdict(training.config)
        inputs: dict[str, Any] = {
            name: value for name, value in config.items() if name not in _NO_INPUT and _LATER.get(name) != value
        }
        inputs |= {"pictures": self.fingerprints[training.name], "version": 1}
        names = [*(f"{STAGE}/{name}" for name in ("model.safetensors", "card.json", "curves.csv")), RECORD]
        return self._stage("train", training, inputs, names)

    def _file_stage(self, training: Training, file: str) -> Stage:
        weights = self.run(training) / STAGE / "model.safetensors"
        inputs = {"weights": sha256_of(weights), "pictures": self.fingerprints[training.name], "version": 1}
        name = f"{ARTIFACTS}/{STAGE}.{file}"
        return self._stage(f"export-{file}", training, inputs | dict(self.plan.export), [name, f"{name}.json"])

    def _stage(self, what: str, training: Training, inputs: Mapping[str, Any], names: Sequence[str]) -> Stage:
        outputs = [f"{TRAININGS}/{training.name}/{name}" for name in names]
        return Stage(name=f"{what}/{training.name}", inputs=inputs, outputs=outputs, run=lambda _: None)

    def _missing(self, training: Training) -> list[str]:
        files = [file for file in self.plan.files(training) if file != "torch"]
        return [file for file in files if not self.folder.is_done(self._file_stage(training, file))]

    def _forget(self, training: Training, file: str) -> None:
        """Removes a file made from other weights or flags, so that it cannot be mistaken for the new one."""
        path = self.artifact(training, file)
        path.unlink(missing_ok=True)
        path.with_name(f"{path.name}.json").unlink(missing_ok=True)

    def _train_command(self, training: Training) -> list[str]:
        flags = {name: text for name, text in training.flags.items() if name != "download"}  # already downloaded
        flags |= {"threads": str(self.threads), "out": str(self.run(training))}
        return ["train", *(f"--{name}={text}" for name, text in flags.items())]

    def _export_commands(self, training: Training, files: Sequence[str]) -> list[list[str]]:
        """One command for each format, because a command writes every given format at every given precision."""
        precisions: dict[str, list[str]] = {}
        for file in files:
            precision, kind = file.split(".")
            precisions.setdefault(kind, []).append(precision)
        flags = [f"--{name}={text}" for name, text in self.plan.export.items()]
        flags.append(f"--threads={self.threads}")
        checkpoint = str(self.run(training) / STAGE)
        return [
            ["export", checkpoint, f"--formats={kind}", f"--precisions={','.join(names)}", *flags]
            for kind, names in precisions.items()
        ]

    def _note_training(self, training: Training, outcomes: Sequence[Outcome]) -> bool:
        if not outcomes or outcomes[0].code != 0:
            return False
        record = TrainerRecord(peak_rss_mb=outcomes[0].peak_rss_mb, threads=self.threads)
        with partial_file(self.run(training) / RECORD) as partial:
            partial.write_text(json.dumps(dataclasses.asdict(record)) + "\n", encoding="utf-8")
        self.folder.note(self.train_stage(training))
        shutil.rmtree(self.run(training) / CACHE, ignore_errors=True)  # one cache per training would fill the disk
        return True

    def _note_files(self, training: Training, files: Sequence[str]) -> list[str]:
        """Records the files that exist together with their certificate; returns the others."""
        missing = []
        for file in files:
            path = self.artifact(training, file)
            if path.is_file() and path.with_name(f"{path.name}.json").is_file():
                self.folder.note(self._file_stage(training, file))
            else:
                missing.append(file)
        return missing


def _reason(outcomes: Sequence[Outcome]) -> str:
    """Why the last command did not make its file."""
    return outcomes[-1].reason if outcomes else "stopped"
