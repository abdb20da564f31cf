"""Tells how far the trainings of a grid are, one line at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from torchseg.pipeline.grid.child import BEGIN
from torchseg.pipeline.grid.jobs import last_line
from torchseg.pipeline.grid.summary import duration

_BETWEEN_S = 30.0


class GridProgress:
    """Prints what begins, what ends and how much is left.

    Args:
        work: how much there is to each training that is left, by its name; any unit.
        clock: seconds.
        tell: takes a line.
    """

    def __init__(
        self,
        work: Mapping[str, float],
        *,
        clock: Callable[[], float] = time.monotonic,
        tell: Callable[[str], None] = lambda line: print(line, flush=True),
    ) -> None:
        self._work, self._clock, self._tell = work, clock, tell
        self._begin = self._told = clock()
        self._done: list[str] = []
        self._lines: dict[str, str] = {}

    def end(self, name: str, *, failed: int) -> None:
        """Notes that a training is over, with so many files that could not be made."""
        self._done.append(name)
        done = sum(self._work[each] for each in self._done)
        left = (sum(self._work.values()) - done) / done * (self._clock() - self._begin) if done else 0.0
        ending = f", about {duration(left)} left" if len(self._done) < len(self._work) else ""
        trouble = f" ({failed} of its files FAILED)" if failed else ""
        self._told = self._clock()
        self._tell(f"trained and exported {len(self._done)} of {len(self._work)}: {name}{trouble}{ending}")

    def beat(self, logs: Mapping[str, Path]) -> None:
        """Now and then repeats the last line of the logs of what is running, where that is a new one."""
        if self._clock() - self._told < _BETWEEN_S:
            return
        self._told = self._clock()
        for name, log in logs.items():
            line = last_line(log)
            if line.startswith(BEGIN):
                line = f"{line.removeprefix(BEGIN).split()[0]} has begun"
            if line and self._lines.get(name) != line:
                self._lines[name] = line
                self._tell(f"  {name}: {line}")
