"""The interface between a search and the engine that chooses its trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from torchseg.config import SearchConfig
from torchseg.config.search import Value
from torchseg.pipeline.search.record import TrialRecord, TrialRecords


@dataclass(frozen=True, kw_only=True)
class SearchTask:
    """What an engine gets from the search.

    Attributes:
        config: of the search.
        records: of its trials; they hold everything about earlier ones, so an engine needs no storage of its own.
        given: parameters of trial 0, so that an engine can learn from it; empty if they are outside the space.
        run: runs the trial of this number with these parameters in this process and returns its record.
        on_trial_end: callback; takes the record of every trial that has ended.
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
    """Chooses the next trial from the results of earlier ones, and runs it."""

    def check(self) -> None:
        """Raises ImportError, naming the extra to install, if the engine is not installed."""
        ...

    def run(self, task: SearchTask) -> None:
        """Runs trials until every trial has a record that has ended."""
        ...


def random_trials(trials: int) -> int:
    """Number of first trials with random parameters: TPE needs some to start from, but most searches are short."""
    return min(10, max(3, trials // 3))
