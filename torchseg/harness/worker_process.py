"""The process of a runtime: `python -m torchseg.harness.worker_process NAME THREADS FOLDER WORKER`.

It is started in runtimes/process.py. WORKER names the class whose methods it calls, as `package.module:Class`.

FOLDER is the only one that it can write into, where the system allows that, and it opens no connection. A checkpoint's
process is free: code in a checkpoint runs only if the user trusts it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from torchseg.processes.child_limits import limit_own_memory
from torchseg.processes.confined import confine
from torchseg.processes.freed_memory import keep_freed_memory
from torchseg.processes.group import end_with_pipe

if TYPE_CHECKING:
    from torchseg.harness.worker import Worker


def serve(questions: IO[bytes], answers: IO[bytes], worker: Worker) -> None:
    """Answers each `(method, arguments)` with `("ok", result)` or `("error", kind, text)` until the pipe closes."""
    from torchseg.harness.runtimes.messages import read_message, write_message

    while True:
        try:
            method, arguments = read_message(questions)
        except EOFError:
            return
        call: Callable[..., Any] = getattr(worker, method)
        try:
            answer: tuple[Any, ...] = ("ok", call(*arguments))
        except Exception as error:  # the parent raises it again
            answer = ("error", type(error).__name__, str(error))
        write_message(answer, answers)


def main(arguments: list[str]) -> None:
    """Serves the parent: reads requests from standard input and writes results to standard output."""
    name, threads, folder, worker = arguments
    limit_own_memory()
    keep_freed_memory()
    if name != "torch":
        confine(Path(folder))  # before NumPy is imported, which starts threads that would stay free
    from importlib import import_module

    module, _, kind = worker.partition(":")
    new: Callable[[str, int], Worker] = getattr(import_module(module), kind)
    with os.fdopen(os.dup(0), "rb") as questions, os.fdopen(os.dup(1), "wb") as answers:
        end_with_pipe(0)
        os.dup2(2, 1)  # what a library prints must not be taken for a result, nor reach the parent's terminal
        serve(questions, answers, new(name, int(threads)))


if __name__ == "__main__":
    main(sys.argv[1:])
