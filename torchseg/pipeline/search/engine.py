"""What a search asks of the engine that chooses its trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from torchseg.config import SearchConfig
from torchseg.config.search import Value
from torchseg.pipeline.search.record import TrialRecord, TrialRecords


@dataclass(frozen=True, kw_only=True)
class SearchTask:
    """What is left to do, and with what.

    Attributes:
        config: of the search.
        records: of its trials; all that is known of earlier ones, so that an engine needs no memory of its own.
        given: parameters of trial 0, from which an engine learns, too; empty if the space does not hold them.
        run: runs the trial of this number with these parameters in this process and gives its record.
        on_trial_end: to be called with the record of every trial that has ended.
    """

    config: SearchConfig
    records: TrialRecords
    given: Mapping[str, Value]
    run: Callable[..., TrialRecord]
    on_trial_end: Callable[[TrialRecord], object]

    @property
    def open(self) -> list[int]:
        """Numbers of the trials that have not ended."""
        ended = {record.number for record in self.records.ended()}
        return [number for number in range(1, self.config.trials + 1) if number not in ended]


class Engine(Protocol):
    """Chooses what to try next out of what came of the trials before, and sees that it is tried."""

    def check(self) -> None:
        """Raises ImportError, naming the extra to install, if the engine cannot run here."""
        ...

    def run(self, task: SearchTask) -> None:
        """Returns when every trial has a record that has ended."""
        ...


def random_trials(trials: int) -> int:
    """How many of the first trials are drawn at random: a tree of estimators needs some, and few searches are long."""
    return min(10, max(3, trials // 3))
