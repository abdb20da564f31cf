"""Describes the exit code of a process."""

from __future__ import annotations

import signal


def cause_of_end(code: int) -> str:
    """Names the cause: `SIGSEGV`, `exit code 2`, or for a crash on Windows its status code in hexadecimal.

    Args:
        code: exit code of a finished process; negative for a signal, which only POSIX systems report.
    """
    if code >= 0:
        return f"exit code {code}" if code < 2**16 else f"exit code {code:#x}"
    try:
        return signal.Signals(-code).name
    except ValueError:  # a real-time signal, or a signal unknown to this system
        return f"signal {-code}"
