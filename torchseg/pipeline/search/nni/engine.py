"""The NNI engine: an experiment on this machine chooses the parameters and runs each trial in a separate process."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shlex
import socket
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from torchseg.config import SearchConfig
from torchseg.config.search import Range, Space
from torchseg.console import STDOUT
from torchseg.pipeline.run.session import CONFIG
from torchseg.pipeline.search.engine import SearchTask, random_trials
from torchseg.pipeline.search.nni.preload import PRELOAD
from torchseg.pipeline.search.nni.processes import TOKEN, end_marked
from torchseg.pipeline.search.record import TrialRecord
from torchseg.processes.group import kept_apart

FOLDER = "nni"
HOMES = ("HOME", "USERPROFILE")  # variables that name the home folder, by system
OWN_HOMES = "TORCHSEG_SEARCH_HOMES"  # the user's home folders, restored for trials: weights may be cached there
NUMBERS = "TORCHSEG_SEARCH_NUMBERS"  # numbers of this experiment's trials, in its order
_LOG, _PRELOAD = "host.log", "preload.js"
_POLL_S, _PATIENCE_S = 0.5, 15.0


class NniEngine:
    """Starts NNI in a process that ends when this one does, and watches the records that its trials write."""

    def check(self) -> None:
        """Raises ImportError if NNI is not installed."""
        if importlib.util.find_spec("nni") is None:
            raise ImportError(
                "--engine nni needs nni: pip install 'torchseg-compress[search]', or give --engine optuna"
            )

    def run(self, task: SearchTask) -> None:
        """Runs the remaining trials.

        Raises:
            OSError: if NNI could not be started, or stopped with an error.
        """
        numbers, port, token = task.open, _free_port(), uuid.uuid4().hex
        folder = (task.config.run / FOLDER).resolve()
        folder.mkdir(exist_ok=True)
        (folder / _PRELOAD).write_text(PRELOAD, encoding="utf-8")
        STDOUT.info(f"NNI's page will be at http://127.0.0.1:{port} until the search ends, for this machine only")
        with (folder / _LOG).open("w", encoding="utf-8") as log:
            host = subprocess.Popen(
                [sys.executable, "-m", "torchseg.pipeline.search.nni.host"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(folder) | {TOKEN: token, NUMBERS: json.dumps(numbers)},
                **kept_apart(),
                text=True,
            )
        try:
            with contextlib.suppress(OSError):  # its log says why
                _send(_job(task, numbers, port, folder), host)
            self._watch(task, host)
        finally:
            _end(host, token)
        if host.returncode:
            raise OSError(f"NNI has stopped: {_last_line(folder / _LOG)}; --engine optuna needs no server")
        _bury(task, folder)

    def _watch(self, task: SearchTask, host: subprocess.Popen[str]) -> None:
        """Calls `on_trial_end` for each trial that ends, until the host process ends."""
        seen = {record.number for record in task.records.ended()}
        while True:
            over = host.poll() is not None
            for record in task.records.ended():
                if record.number not in seen:
                    seen.add(record.number)
                    task.on_trial_end(record)
            if over:
                return
            try:
                host.wait(_POLL_S)
            except subprocess.TimeoutExpired:
                continue


def nni_space(space: Space) -> dict[str, dict[str, object]]:
    """The search space in NNI's format."""
    return {
        name: {"_type": "loguniform" if values.log else "uniform", "_value": [values.low, values.high]}
        if isinstance(values, Range)
        else {"_type": "choice", "_value": list(values.values)}
        for name, values in space.items()
    }


def _send(job: Mapping[str, object], host: subprocess.Popen[str]) -> None:
    if host.stdin is not None:
        host.stdin.write(json.dumps(job) + "\n")
        host.stdin.flush()


def _job(task: SearchTask, numbers: list[int], port: int, folder: Path) -> dict[str, object]:
    """The job for the host process, which gets it as one line of JSON."""
    config = task.config
    return {
        "port": port,
        "folder": str(folder),
        "trials": len(numbers),
        "space": nni_space(config.ranges),
        "command": _trial_command(config),
        "tuner": {
            "run": str(config.run.resolve()),
            "seed": config.seed,
            "numbers": numbers,
            "given": dict(task.given),
            "random_trials": random_trials(config.trials),
        },
    }


def _trial_command(config: SearchConfig) -> str:
    """The command that NNI's shell runs for each trial."""
    command = [sys.executable, "-m", "torchseg.pipeline.search.nni.trial", "--config", str(config.run / CONFIG)]
    return shell_line(command)


def shell_line(command: Sequence[str], *, windows: bool = os.name == "nt") -> str:
    """The command, quoted for the shell of this system."""
    return subprocess.list2cmdline(command) if windows else shlex.join(command)


def _environment(folder: Path) -> dict[str, str]:
    """Environment of the host process.

    NNI keeps a list of experiments in the home folder and copies settings to another; both are moved below the run.
    """
    home = folder / "home"
    home.mkdir(exist_ok=True)
    quoted = str(folder / _PRELOAD).replace("\\", "\\\\").replace('"', '\\"')
    options = f'{os.environ.get("NODE_OPTIONS", "")} --require "{quoted}"'.strip()
    paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
    own = {name: os.environ[name] for name in HOMES if name in os.environ}
    changes = dict.fromkeys(own or HOMES, home) | {
        OWN_HOMES: json.dumps(own),
        "NNI_CONFIG_DIR": folder / "config",
        "NODE_OPTIONS": options,
        "PYTHONPATH": paths,
    }
    return {**os.environ, **{name: str(value) for name, value in changes.items()}}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end(host: subprocess.Popen[str], token: str) -> None:
    """Closes the host's input, waits for the experiment to end, and ends every process that is left of it."""
    if host.stdin is not None:
        with contextlib.suppress(OSError):  # the host died before it read its job
            host.stdin.close()
    try:
        host.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        host.kill()
        host.wait()
    finally:
        end_marked(TOKEN, token)


def _bury(task: SearchTask, folder: Path) -> None:
    """Records trials whose process ended without a result (killed, or out of memory) as failed."""
    for number in task.open:
        begun = task.records.read(number) or TrialRecord(number=number)
        note = f"its process ended without a result; what it said is below {folder}"
        record = replace(begun, status="failed", note=note)
        task.records.write(record)
        task.on_trial_end(record)


def _last_line(path: Path) -> str:
    lines = [line.strip() for line in path.read_text(errors="replace", encoding="utf-8").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it has said nothing"
