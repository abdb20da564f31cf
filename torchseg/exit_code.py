"""What the exit code of a process says."""

from __future__ import annotations

import signal


def cause_of_end(code: int) -> str:
    """In a few words: `SIGSEGV`, `exit code 2`, or the number under which Windows describes a crash, in hex.

    Args:
        code: of a process that has ended; below 0 for a signal, which only POSIX systems report.
    """
    if code >= 0:
        return f"exit code {code}" if code < 2**16 else f"exit code {code:#x}"
    try:
        return signal.Signals(-code).name
    except ValueError:  # a real-time signal, or one of another system
        return f"signal {-code}"
