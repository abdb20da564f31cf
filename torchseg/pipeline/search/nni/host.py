"""The process that holds an NNI experiment: `python -m torchseg.pipeline.search.nni.host`, started by engine.py.

It reads its job as one line of JSON, and ends the experiment when its stdin is closed, also if the parent is killed.
NNI looks up the home folder when it is imported; a separate process lets it use a home folder below the run.
"""

from __future__ import annotations

import atexit
import ipaddress
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from torchseg.pipeline.search.nni.processes import TOKEN, end_marked
from torchseg.record import plain_json

_POLL_S = 0.5
_START_S = 60
_OVER = ("DONE", "STOPPED")


def main() -> int:
    """Runs the experiment until it is over or the parent closes stdin."""
    job = plain_json(sys.stdin.readline() or "null")
    if job is None:
        return 0
    unwanted = threading.Event()
    threading.Thread(target=_await_hang_up, args=(unwanted,), daemon=True).start()
    experiment = _experiment(job)
    try:
        experiment.start(job["port"])
        check_loopback_only(psutil.Process())
        while not unwanted.wait(_POLL_S):
            status = experiment.get_status()
            if status in _OVER:
                return 0
            if status == "ERROR":
                sys.exit(f"NNI reports an error; see its log below {job['folder']}")  # on stderr, and ends with 1
        return 0
    finally:
        # NNI's own exit handler waits half a minute for processes that do not answer, and saves nothing needed here.
        atexit.unregister(experiment.stop)
        end_marked(TOKEN, os.environ[TOKEN])


def check_loopback_only(parent: psutil.Process) -> None:
    """Checks that no descendant of `parent` accepts connections from other machines.

    Raises:
        RuntimeError: naming the address if one does.
    """
    for child in parent.children(recursive=True):
        for connection in child.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN and not ipaddress.ip_address(connection.laddr.ip).is_loopback:
                where = f"{connection.laddr.ip}:{connection.laddr.port}"
                raise RuntimeError(f"NNI listens on {where}, beyond this machine, although it was configured not to")


def _experiment(job: Mapping[str, Any]) -> Any:
    import nni  # type: ignore[import-untyped]
    from nni.experiment import Experiment, launcher  # type: ignore[import-untyped]

    nni.silence_stdout()  # the same lines are in NNI's own log
    _wait_longer(launcher)
    experiment = Experiment("local")
    config = experiment.config
    config.search_space = job["space"]
    config.trial_command, config.trial_code_directory = job["command"], os.getcwd()
    config.trial_concurrency, config.max_trial_number = 1, job["trials"]
    config.experiment_working_directory = job["folder"]
    # The tuner is imported like any other module, but NNI requires a code directory.
    config.tuner.name, config.tuner.code_directory = None, str(Path(__file__).parent)
    config.tuner.class_name = "torchseg.pipeline.search.nni.tuner.ResumableTpe"
    config.tuner.class_args = job["tuner"]
    return experiment


def _wait_longer(launcher: Any) -> None:
    """Gives NNI's server 60 s to start: its own 3 s are too short on a busy machine, and it has no setting for it."""
    check = launcher._check_rest_server

    def patient(port: int, retry: int = 3, url_prefix: str | None = None) -> None:
        check(port, max(retry, _START_S), url_prefix)  # one try per second

    launcher._check_rest_server = patient


def _await_hang_up(unwanted: threading.Event) -> None:
    sys.stdin.read()
    unwanted.set()


if __name__ == "__main__":
    sys.exit(main())
