"""Starts processes in their own group, interrupts them and kills them, on POSIX and Windows."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from typing import Any


def kept_apart() -> dict[str, Any]:
    """Options of `subprocess.Popen` that keep Ctrl-C from reaching the child, so that its parent can end it."""
    flag = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", None)  # Windows only, which has no sessions
    return {"start_new_session": True} if flag is None else {"creationflags": flag}


def interrupt_self() -> None:
    """Interrupts this process as Ctrl-C would; works from any thread."""
    if hasattr(os, "killpg"):
        os.kill(os.getpid(), signal.SIGINT)  # also interrupts a blocking call of the main thread
    else:  # on Windows, `os.kill` would kill the process at once
        signal.raise_signal(signal.SIGINT)


def kill_all(pid: int) -> None:
    """Kills a process that was started with `kept_apart`, and all processes that it started.

    Args:
        pid: of the process; may be the caller's own.
    """
    if hasattr(os, "killpg"):
        os.killpg(pid, signal.SIGKILL)
        return
    import psutil

    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for each in (*process.children(recursive=True), process):
            with suppress(psutil.NoSuchProcess):
                each.kill()
