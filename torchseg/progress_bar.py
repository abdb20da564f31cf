"""What a command works on: a bar on a terminal, and in a pipe a line at least every 30 seconds.

Long jobs say how far they are through `Progress`; one thread of the command, `heartbeat`, turns that into lines.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from torchseg.console import STDERR, last_shown

if TYPE_CHECKING:
    from tqdm import tqdm

_FIRST_LINE_S = 1.0  # libraries take seconds to import, and a command must say something within two
_BETWEEN_LINES_S = 20.0  # leaves room below 30 for code that holds the interpreter
_LAUNCHED_RANK = "LOCAL_RANK"  # set by launchers of several training processes
_RUNNING: list[Progress] = []


class Progress:
    """Progress through `total` steps under a label, on stderr, so that results can be piped; a context manager.

    Args:
        total: number of steps; 0 if unknown, which shows no bar.
        label: name of the job.
        unit: of a step, e.g. `image`.
        done: steps that an earlier command did.
        says_end: whether a plain line says that all is done, where there is no bar.
    """

    def __init__(self, total: int, label: str, *, unit: str = "", done: int = 0, says_end: bool = True) -> None:
        self._total, self._label, self._unit = total, label, f" {unit}s" if unit else ""
        self._done = self._before = done
        self._says_end = says_end
        self._begin = time.monotonic()
        self.bar: tqdm[Any] | None = None
        if total and sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=total, initial=done, desc=label, unit=unit or "it", leave=False, dynamic_ncols=True)

    def advance(self, steps: int = 1) -> None:
        """Records `steps` more steps as done."""
        self._done += steps
        if self.bar is not None:
            self.bar.update(steps)
        elif self._done == self._total and self._says_end:
            STDERR.info(f"{self._label}: {self._done}/{self._total}{self._unit}")

    def line(self, now: float) -> str:
        """How far the job is at time `now`, and how long it still takes or has taken."""
        spent, new = now - self._begin, self._done - self._before
        time_left = spent / new * (self._total - self._done) if new else 0.0
        ending = f"about {duration(time_left)} left" if time_left > 0 else f"{duration(spent)} so far"
        if not self._total:
            steps = f"{self._done}{self._unit}, " if self._done else ""
            return f"{self._label}: {steps}{ending}"
        return f"{self._label}: {self._done}/{self._total}{self._unit}, {ending}"

    def __enter__(self) -> Progress:
        _RUNNING.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _RUNNING.remove(self)
        if self.bar is not None:
            self.bar.close()


class Heartbeat:
    """Writes a line when nothing was shown for some time.

    Args:
        write: writes one line.
        clock: returns the time in seconds.
        shown: when a command showed its last line, by the same clock.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        *,
        clock: Callable[[], float] = time.monotonic,
        shown: Callable[[], float] = last_shown,
    ) -> None:
        self._write, self._clock, self._shown = write, clock, shown
        self._begin = self._last = clock()

    def tick(self) -> None:
        """Writes a line about the innermost job if it is time; never while a bar is drawn."""
        now, last = self._clock(), max(self._last, self._shown())
        patience = _BETWEEN_LINES_S if last > self._begin else _FIRST_LINE_S
        if now - last < patience or any(each.bar is not None for each in _RUNNING):
            return
        self._last = now
        jobs = list(_RUNNING)
        self._write(f"  {jobs[-1].line(now)}" if jobs else f"  working, {duration(now - self._begin)} so far")


@contextmanager
def heartbeat() -> Iterator[None]:
    """Keeps a `Heartbeat` going, from a thread of its own, while the block runs.

    Of several training processes the first one has it. It writes to stderr as it was at the beginning: converters
    redirect both streams while they work, for longer than a user would wait for a line.
    """
    if os.environ.get(_LAUNCHED_RANK, "0") != "0":
        yield
        return
    stopped = threading.Event()
    with _stderr_of_now() as write:
        pulse = Heartbeat(write)
        thread = threading.Thread(target=_beat, args=(pulse, stopped), name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()


def _beat(pulse: Heartbeat, stopped: threading.Event) -> None:
    while not stopped.wait(0.5):
        try:
            pulse.tick()
        except (OSError, ValueError):  # nobody reads stderr any more; the command itself may still have work to do
            return


@contextmanager
def _stderr_of_now() -> Iterator[Callable[[str], object]]:
    """Yields a function that writes a line to the file behind stderr, whatever is redirected later."""
    stream = sys.stderr
    try:
        descriptor = os.dup(stream.fileno())
    except (OSError, ValueError, AttributeError):  # a notebook, or a test, that has no file
        yield lambda line: stream.write(f"{line}\n")
        return
    try:
        yield lambda line: os.write(descriptor, f"{line}\n".encode(errors="backslashreplace"))
    finally:
        os.close(descriptor)


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
