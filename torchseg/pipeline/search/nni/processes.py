"""Finds and ends the processes that an engine has started, even if they are no longer its children."""

from __future__ import annotations

import contextlib
import os
import time

import psutil

TOKEN = "TORCHSEG_SEARCH_TOKEN"  # marks every process of one search
_PATIENCE_S, _POLL_S = 5.0, 0.1


def marked_processes(name: str, value: str) -> list[psutil.Process]:
    """Other processes whose environment has `name` set to `value`: children inherit it, and orphans keep it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # it has ended, is a zombie, or belongs to another user
            if process.pid != os.getpid() and process.environ().get(name) == value:
                found.append(process)
    return found


def end_marked(name: str, value: str) -> None:
    """Terminates those processes, then kills any that are left after 5 s."""
    for ask in (psutil.Process.terminate, psutil.Process.kill):
        for process in marked_processes(name, value):
            with contextlib.suppress(psutil.NoSuchProcess):
                ask(process)
        deadline = time.monotonic() + _PATIENCE_S
        while marked_processes(name, value) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
