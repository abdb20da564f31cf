"""Finds and ends the processes that an engine has started, wherever they have moved."""

from __future__ import annotations

import contextlib
import os
import time

import psutil

TOKEN = "TORCHSEG_SEARCH_TOKEN"  # marks every process of one search
_PATIENCE_S, _POLL_S = 5.0, 0.1


def marked_processes(name: str, value: str) -> list[psutil.Process]:
    """Other processes in whose environment `name` is `value`: children inherit it, orphans keep it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # gone meanwhile, dead but not buried, or another user's
            if process.pid != os.getpid() and process.environ().get(name) == value:
                found.append(process)
    return found


def end_marked(name: str, value: str) -> None:
    """Asks them to end, and ends those that do not."""
    for ask in (psutil.Process.terminate, psutil.Process.kill):
        for process in marked_processes(name, value):
            with contextlib.suppress(psutil.NoSuchProcess):
                ask(process)
        deadline = time.monotonic() + _PATIENCE_S
        while marked_processes(name, value) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
