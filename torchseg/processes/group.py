"""Starts processes in their own group, interrupts and kills them, and ends them with their parent, on every system.

Modules are imported where they are used: the processes of runtimes start often and need few of them.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_SET_DEATH_SIGNAL = 1  # of Linux's prctl


def kept_apart() -> dict[str, Any]:
    """Options of `subprocess.Popen` that keep Ctrl-C from reaching the child, so that its parent can end it."""
    import subprocess

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


def end_with_parent() -> None:
    """Makes this process, if it is a child by `multiprocessing`, end when its parent does, however that ends.

    Ctrl-C, the end of the terminal and the handlers of the parent are left to the parent: a terminal tells both.
    """
    import multiprocessing

    parent = multiprocessing.parent_process()
    if parent is None:
        return
    for each in ("SIGINT", "SIGHUP"):
        if hasattr(signal, each):  # Windows has no SIGHUP
            signal.signal(getattr(signal, each), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def end_with_starter() -> None:
    """Makes this process end when the thread that started it does, on Linux; elsewhere nothing changes.

    For a child whose starter does nothing but wait for it.
    """
    if sys.platform.startswith("linux"):
        import ctypes

        started_by = os.getppid()
        ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != started_by:  # it ended before this call
            os.kill(os.getpid(), signal.SIGKILL)


def end_with_pipe(descriptor: int) -> None:
    """Makes this process end when nobody holds the other end of a pipe any more, whatever it is doing then.

    Args:
        descriptor: of the end that this process reads. Windows cannot wait without reading: there, nothing changes.
    """
    if hasattr(select, "poll"):
        threading.Thread(target=_end_after_pipe, args=(descriptor,), daemon=True).start()


def _end_after_pipe(descriptor: int) -> None:
    poll = select.poll()
    poll.register(descriptor, 0)  # no event but the end of the pipe, which needs no asking
    poll.poll()
    os._exit(1)


def _end_after(sentinel: int) -> None:
    from multiprocessing.connection import wait

    wait([sentinel])
    os._exit(1)


@contextmanager
def no_child_left() -> Iterator[None]:
    """Kills the children by `multiprocessing` that were started inside, if an exception ends the block."""
    import multiprocessing

    before = set(multiprocessing.active_children())
    try:
        yield
    except BaseException:
        for child in set(multiprocessing.active_children()) - before:
            child.kill()
        raise
