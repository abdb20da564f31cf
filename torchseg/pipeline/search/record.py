"""The result of each trial of a search, on disk. Imports little, because the process of NNI's tuner reads it too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from torchseg.atomic_file import partial_file
from torchseg.config.search import Value
from torchseg.record import build, read_json

TRIALS = "trials"
_FILE = "trial.json"

Status = Literal["running", "done", "over budget", "failed"]


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One trial.

    Attributes:
        number: 0 is the configuration as given.
        status: trials over budget are not trained.
        parameters: the values that the engine chose, by name.
        val_miou: best mean IoU on the validation split, as a share; None for trials that were not trained.
        validations: pairs of epoch and mean IoU.
        size_bytes: of the file that the budget limits.
        multiply_adds: per image.
        latency_ms: fastest prediction of that file, in ms, if the budget limits it.
        overrun: the largest share by which a limit is exceeded; 0 within the budget.
        seconds: duration of the trial.
        note: why it failed.
    """

    number: int
    status: Status = "running"
    parameters: Mapping[str, Value] = field(default_factory=dict)
    val_miou: float | None = None
    validations: tuple[tuple[int, float], ...] = ()
    size_bytes: int | None = None
    multiply_adds: int | None = None
    latency_ms: float | None = None
    overrun: float = 0.0
    seconds: float = 0.0
    note: str = ""

    @property
    def ended(self) -> bool:
        """Whether the trial is over and need not run again."""
        return self.status != "running"

    @property
    def score(self) -> float | None:
        """The value to maximise: mean IoU, or minus the overrun for a trial over budget; None for a failed trial."""
        return -self.overrun if self.status == "over budget" else self.val_miou


class TrialRecords:
    """The records of one search, one file per trial, in `RUN/trials/NUMBER/`."""

    def __init__(self, run: Path) -> None:
        self.run = run

    def write(self, record: TrialRecord) -> None:
        """Writes the record and replaces an older one; the file is never half-written."""
        path = self.run / stage_of(record.number) / _FILE
        with partial_file(path) as partial:
            partial.write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")

    def read(self, number: int) -> TrialRecord | None:
        """The record of a trial; None if it has not started. Raises ValueError if it is damaged."""
        path = self.run / stage_of(number) / _FILE
        if not path.is_file():
            return None
        remedy = "delete this file to repeat the trial"
        return build(TrialRecord, read_json(path, remedy=remedy), path=path, remedy=remedy)

    def ended(self) -> list[TrialRecord]:
        """The records of trials that have ended, in order of their numbers."""
        numbers = sorted(int(path.parent.name) for path in (self.run / TRIALS).glob(f"*/{_FILE}"))
        records = [self.read(number) for number in numbers]
        return [record for record in records if record is not None and record.ended]

    def observations(self, given: Mapping[str, Value]) -> list[tuple[dict[str, Value], float]]:
        """Parameters and score of each ended trial that has both; trial 0 has the parameters `given`."""
        known = [(each.parameters if each.number else given, each.score) for each in self.ended()]
        return [(dict(parameters), score) for parameters, score in known if parameters and score is not None]


def stage_of(number: int) -> str:
    """Name of a trial's stage, which is also its folder in the run."""
    return f"{TRIALS}/{number:03}"
