"""Imports TensorFlow once and forks a child for each model to import: that saves seconds for each of hundreds of files.

    python -m tests.faults.fork_server

A child is confined, limited and alone with its file, as the one is that the command starts. Requests and answers are
lines of JSON.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.faults.commands import ROOT
from tf_bridge.from_tensorflow import process
from torchseg.processes.child_limits import limit_own_memory, time_limit_s
from torchseg.processes.confined import confine
from torchseg.processes.group import end_with_starter

_SAID = "said.txt"


class ForkServer:
    """Stands in for what starts the child of an import; a server that died is replaced.

    Attributes:
        peak_mb: most resident memory of a child, in MiB.
    """

    def __init__(self) -> None:
        self._server: subprocess.Popen[str] | None = None
        self.peak_mb = 0.0

    def run(self, folder: Path, paths: str) -> subprocess.CompletedProcess[str]:
        """What `tf_bridge.from_tensorflow.process._run` does, in a child that is forked."""
        limit_s = time_limit_s(process._LIMIT_S)
        own = dict.fromkeys(("TMPDIR", "KERAS_HOME"), str(folder))
        request = {"folder": str(folder), "environment": {**os.environ, **own}, "limit_s": limit_s}
        server = self._running(paths)
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        answer = json.loads(server.stdout.readline())
        self.peak_mb = max(self.peak_mb, answer["peak_mb"])
        if answer["code"] is None:
            raise subprocess.TimeoutExpired("an import", limit_s)
        return subprocess.CompletedProcess([], answer["code"], stderr=answer["said"])

    def _running(self, paths: str) -> subprocess.Popen[str]:
        if self._server is None or self._server.poll() is not None:
            self.close()
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.fork_server"],
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), paths]), "TF_CPP_MIN_LOG_LEVEL": "3"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self._server.stdout.readline()  # it has imported all
        return self._server

    def close(self) -> None:
        """Ends the server and what it runs."""
        if self._server is not None:
            with suppress(OSError):
                self._server.stdin.close()
            self._server.wait()
            self._server.stdout.close()

    def __enter__(self) -> ForkServer:
        self._running(os.pathsep.join(sys.path))  # so that no attempt waits for it
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def serve() -> None:
    """Imports what a child needs, which starts no thread that a child would miss, then answers requests."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what TensorFlow prints is no answer
    import tensorflow  # noqa: F401
    from tf2onnx import convert  # noqa: F401

    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            _import_and_exit(request)
        print(json.dumps(_ended(child, request)), file=answers, flush=True)


def _import_and_exit(request: dict[str, Any]) -> None:
    code, folder = 1, Path(request["folder"])
    try:
        os.environ.clear()
        os.environ.update(request["environment"])
        tempfile.tempdir = None  # it is read from the environment again
        said, nothing = os.open(folder / _SAID, os.O_CREAT | os.O_WRONLY), os.open(os.devnull, os.O_RDWR)
        for stream, opened in enumerate((nothing, said, said)):
            os.dup2(opened, stream)
        end_with_starter()
        confine(folder)
        limit_own_memory()
        process._serve(folder)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _ended(child: int, request: dict[str, Any]) -> dict[str, Any]:
    """Exit code of a child, None if it took too long; what it said; and the most memory that it had."""
    deadline, in_time = time.monotonic() + request["limit_s"], True
    while True:
        ended, status, used = os.wait4(child, os.WNOHANG)
        if ended:
            break
        if in_time and time.monotonic() > deadline:
            in_time = False
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)
    path = Path(request["folder"]) / _SAID
    said = path.read_text(errors="replace") if path.is_file() else ""
    code = os.waitstatus_to_exitcode(status) if in_time else None
    return {"code": code, "said": said, "peak_mb": used.ru_maxrss / 1024}


if __name__ == "__main__":
    serve()
