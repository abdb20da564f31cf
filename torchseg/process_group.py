"""Processes that are kept apart, interrupted and ended, as each system can."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from typing import Any


def kept_apart() -> dict[str, Any]:
    """Options of `subprocess.Popen` that keep Ctrl-C in a terminal from the child: its parent ends it in order."""
    flag = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", None)  # Windows alone has it, and no sessions
    return {"start_new_session": True} if flag is None else {"creationflags": flag}


def interrupt_self() -> None:
    """Does to this process, from any of its threads, what Ctrl-C does."""
    if hasattr(os, "killpg"):
        os.kill(os.getpid(), signal.SIGINT)  # also ends what the main thread waits for
    else:  # there `os.kill` would end the process at once
        signal.raise_signal(signal.SIGINT)


def kill_all(pid: int) -> None:
    """Ends a process that was kept apart, and all that it started.

    Args:
        pid: of the process; its own is fine.
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
