"""Runs the job of an emulated machine step by step, in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from machines.environments import GIBIBYTE, Environment
from machines.installations import REPOSITORY, STORE, Installation, NoInterpreterError
from machines.jobs import DATA, MIXED, PLAIN, Step
from machines.pictures import draw_pictures

LOGS = STORE / "logs"
_LOOK_S = 0.5  # between two measurements of memory
# Prefixes of variables that may be set on this machine, but are not on the emulated one.
_FOREIGN = ("PYTHON", "ATEN_", "ONEDNN_", "DNNL_", "OMP_", "MKL_", "OPENBLAS_", "LC_", "LANG", "TMP", "TEMP", "TF_")
_GRID = """
base: {data: scenes, image_size: 32, model: small_unet, epochs: 1, batch_size: 8, model_arguments.base_width: 8}
factors:
  file:
    one: {file: torch}
    two: {file: FILE}
"""


class StepError(Exception):
    """A step did not give the expected result."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Result of an emulation.

    Attributes:
        environment: the emulated machine.
        result: `passed`, `not run: ...` or `FAILED: ...`.
        seconds: duration of the job.
        peak_bytes: most memory that all processes of a step held together, shared pages counted once.
    """

    environment: Environment
    result: str
    seconds: float = 0.0
    peak_bytes: int = 0

    @property
    def failed(self) -> bool:
        """Whether the project or the emulation failed."""
        return self.result.startswith("FAILED")


def emulate(environment: Environment, wheel: Path, *, limit_s: float) -> Outcome:
    """Installs, probes and runs; the output of the processes goes to `.venv-machines/logs/NAME.log`.

    Args:
        environment: the machine to emulate.
        wheel: of this project.
        limit_s: time limit of the job, in seconds.
    """
    if environment.missing:
        return Outcome(environment=environment, result=f"not run: no {' and no '.join(environment.missing)}")
    try:
        installation = environment.install(wheel)
    except NoInterpreterError as error:
        return Outcome(environment=environment, result=f"not run: {error}")
    except subprocess.CalledProcessError as error:
        return Outcome(environment=environment, result=f"FAILED: installation: {_last_line(error.stderr)}")
    LOGS.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch,
        (LOGS / f"{environment.name}.log").open("wb") as log,
    ):
        machine = _Machine(environment, installation, Path(scratch), log.fileno(), started + limit_s)
        try:
            machine.run()
            result = "passed"
        except StepError as error:
            result = f"FAILED: {error}"
    return Outcome(
        environment=environment, result=result, seconds=time.monotonic() - started, peak_bytes=machine.peak_bytes
    )


class _Machine:
    """Runs the job of one environment."""

    def __init__(
        self, environment: Environment, installation: Installation, scratch: Path, log: int, deadline: float
    ) -> None:
        self.environment, self.installation = environment, installation
        self.folder, self.home = scratch / environment.folder, scratch / "home"
        self.log, self.deadline, self.peak_bytes = log, deadline, 0

    def run(self) -> None:
        """Runs every step, even after a failure, because refusals are independent of each other.

        Raises:
            StepError: if steps failed; it names the first one and the number of the others.
        """
        self.home.mkdir()
        for root, name in ((DATA, "übung "), (PLAIN, "p"), (MIXED, "ü")):
            draw_pictures(self.folder / root, name)
        for kind in ("onnx", "tflite"):
            (self.folder / f"{kind}.yaml").write_text(_GRID.replace("FILE", f"fp32.{kind}"), encoding="utf-8")
        (self.folder / "some.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(100))
        self._probe()
        problems = []
        for number, step in enumerate(self.environment.job(self.environment.flags), start=1):
            name = f"step {number}, {step.command}"
            code, said = self._call([*self.installation.command(step.command), *step.flags], name)
            if problem := _problem(step, code, said, self.folder):
                problems.append(f"{name}: {problem}")
                os.write(self.log, f"^ {problems[-1]}\n".encode())
        if problems:
            raise StepError(problems[0] + (f" (and {len(problems) - 1} more)" if problems[1:] else ""))

    def _probe(self) -> None:
        """Raises StepError if another copy of the project is imported or the emulation does not work."""
        home = str(self.installation.home)
        source = "import pathlib, torchseg, tf_bridge; print(*(pathlib.Path(m.__file__).parents[1]"
        code, said = self._call(
            [self.installation.python, "-c", f"{source} for m in (torchseg, tf_bridge)))"], "import"
        )
        if code or said.split()[-2:] != [home, home]:
            raise StepError(f"torchseg is not imported from {home}: {_last_line(said)}")
        code, said = self._call([self.installation.python, "-c", self.environment.probe], "probe")
        if code:
            raise StepError(f"it is not emulated: {_last_line(said)}")

    def _call(self, command: Sequence[str | Path], name: str) -> tuple[int, str]:
        """Runs a command on the emulated machine; returns its exit code and output."""
        line = [*self.environment.prefix, *map(str, command)]
        start = os.lseek(self.log, 0, os.SEEK_END)
        os.write(self.log, f"\n$ {' '.join(line)}\n".encode())
        process = subprocess.Popen(
            line,
            cwd=self.folder,
            env=self._variables(),
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        with _ended(process):
            held = self._watch(process, name)
        most = self.environment.most_bytes
        if most and held > most:
            raise StepError(f"{name}: its processes held {held / GIBIBYTE:.2f} GiB, {most / GIBIBYTE:.0f} are there")
        with (LOGS / f"{self.environment.name}.log").open("rb") as file:
            file.seek(start)
            return process.returncode, file.read().decode(errors="replace")

    def _watch(self, process: subprocess.Popen[bytes], name: str) -> int:
        """Waits for the process and returns its peak memory in bytes; raises StepError after the deadline."""
        most = 0
        while process.poll() is None:
            most = max(most, _held_bytes(process.pid))
            self.peak_bytes = max(self.peak_bytes, most)
            if time.monotonic() > self.deadline:
                raise StepError(f"{name}: it was still running when the time was up")
            time.sleep(_LOOK_S)
        return most

    def _variables(self) -> Mapping[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        return {
            **kept,
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "PYTHONNOUSERSITE": "1",
            **self.installation.variables,
            **self.environment.variables,
        }


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Kills all processes that remain in the session of a process."""
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _held_bytes(root: int) -> int:
    """Memory of a process and all its descendants: the sum of their private pages plus the largest shared share.

    The proportional set size would depend on other programs on this machine that map the same libraries.
    """
    alone, shared = 0, 0
    with contextlib.suppress(psutil.Error):
        top = psutil.Process(root)
        for process in [top, *top.children(recursive=True)]:
            with contextlib.suppress(psutil.Error, OSError):
                memory = process.memory_full_info()
                alone, shared = alone + memory.uss, max(shared, memory.rss - memory.uss)
    return alone + shared


def _problem(step: Step, code: int, said: str, folder: Path) -> str:
    """What is wrong with the result of a step; empty if nothing is."""
    if "Traceback (most recent call last)" in said:
        return f"a traceback: {_last_line(said)}"
    if code != step.code:
        return f"exit code {code}, expected {step.code}: {_last_line(said)}"
    if step.says not in said:
        return f"it does not say '{step.says}': {_last_line(said)}"
    for name in step.leaves:
        if not (folder / name).is_file():
            return f"it left no {name}"
    for name in step.spares:
        if (folder / name).exists():
            return f"it left {name}, but was to refuse before it began"
    return ""


def _last_line(said: str | bytes) -> str:
    text = said if isinstance(said, str) else said.decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].replace(str(REPOSITORY), ".") if lines else "it said nothing"
