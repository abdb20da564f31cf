"""Runs commands in child processes, and reads from their logs how each of them ended."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torchseg.pipeline.grid.child import BEGIN, END, PATIENCE_S
from torchseg.processes.exit_code import cause_of_end
from torchseg.processes.group import kept_apart, kill_all

_PROGRAM = (sys.executable, "-m", "torchseg.pipeline.grid.child")
_ENDING = re.compile(re.escape(END) + r"(\d+) after ([\d.]+) s, peak (\d+) MiB\]")
_LAST_BYTES = 4096  # of a log, in which its last line is looked for


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one command ended.

    Attributes:
        command: its name, e.g. `train`.
        code: exit code; None if its process died before the command ended.
        peak_rss_mb: peak memory of the process so far, in MiB; None if the process died.
        reason: the last line that it printed.
    """

    command: str
    code: int | None
    peak_rss_mb: float | None
    reason: str


class Jobs:
    """Starts processes that end when this one does, or when `stop` is called from another thread.

    Args:
        threads: of each process.
        program: takes the commands as its last argument, as JSON, and prints what `run_commands` prints.
    """

    def __init__(self, *, threads: int, program: Sequence[str] = _PROGRAM) -> None:
        self._threads, self._program = threads, program
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, commands: Sequence[Sequence[str]], log: Path) -> list[Outcome]:
        """Runs commands of this project in turn, in one process, and appends their output to `log`."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            start = file.tell()
            with self._lock:
                if self._stopped:
                    return []
                process = subprocess.Popen(
                    [*self._program, json.dumps(commands)],
                    stdin=subprocess.PIPE,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    env=_environment(self._threads),
                    **kept_apart(),
                )
                self._running.add(process)
            code = process.wait()
        with self._lock:
            self._running.discard(process)
        _close(process)
        return read_outcomes(log.read_bytes()[start:].decode(errors="replace"), code)

    def stop(self) -> None:
        """Ends every process and its children: first by an interrupt, as Ctrl-C does, then by a kill."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            _close(process)
        for process in running:
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                kill_all(process.pid)  # together with its image-reading processes
                process.wait()


def read_outcomes(text: str, code: int) -> list[Outcome]:
    """Reads the outcome of each command from a log, in order.

    Args:
        text: output of `run_commands` and its commands.
        code: exit code of the process; negative for a signal.
    """
    outcomes = []
    for part in re.split(rf"^{re.escape(BEGIN)}", text, flags=re.MULTILINE)[1:]:
        title, _, said = part.partition("\n")
        ending = _ENDING.search(said)
        words = _last_line(said[: ending.start()] if ending else said)
        if not ending:
            words = f"its process died with {cause_of_end(code)}" + (f"; its last line: {words}" if words else "")
        outcomes.append(
            Outcome(
                command=title.split()[0],
                code=int(ending[1]) if ending else None,
                peak_rss_mb=float(ending[3]) if ending else None,
                reason=words,
            )
        )
    return outcomes


def last_line(log: Path) -> str:
    """The last line of a log that is not blank; empty if there is none."""
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LAST_BYTES))
        return _last_line(file.read().decode(errors="replace"))


def _last_line(text: str) -> str:
    lines = [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]
    return lines[-1].removeprefix("error: ")[:300] if lines else ""


def _close(process: subprocess.Popen[bytes]) -> None:
    """Closes the pipe that keeps the process alive."""
    if process.stdin is not None:
        process.stdin.close()


def _environment(threads: int) -> dict[str, str]:
    """Environment of the child: the same packages, and no numeric library uses more threads than its share."""
    paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    fixed = dict.fromkeys(names, str(threads)) | {"TF_NUM_INTEROP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    return {**os.environ, **fixed, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
