"""Ends a command on Ctrl-C, SIGTERM and SIGHUP: the first time by an exception, the second time at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

MESSAGE = "\nstopped; run the same command to resume"
_SIGNALS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]  # not on Windows


class Interruption:
    """The signal that ended a command.

    Attributes:
        exit_code: 130 after Ctrl-C, 143 after SIGTERM, 129 when the terminal closed: 128 and the signal's number, as
            shells report them.
        is_told: whether the user was told that the command stopped.
    """

    def __init__(self) -> None:
        self.exit_code = 128 + signal.SIGINT
        self.is_told = False
        self._came = False

    def tell(self) -> None:
        """Tells the user, once, that the command stopped and how to resume."""
        if not self.is_told:
            self.is_told = True
            with suppress(OSError):  # the terminal may be gone
                sys.stderr.write(f"{MESSAGE}\n")
                sys.stderr.flush()

    @property
    def came(self) -> bool:
        """Whether a signal came."""
        return self._came

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Raises KeyboardInterrupt in the main thread; a second signal ends the process without cleaning up.

        What is on disk is whole at any moment, and the processes that this one started end with it.
        """
        if self._came:
            if not self.is_told:
                with suppress(OSError):
                    os.write(2, f"{MESSAGE}\n".encode())
            os._exit(self.exit_code)
        self._came, self.exit_code = True, 128 + number
        # A thread of Python's process pool fails if its tasks are cancelled while its processes end by the same signal.
        threading.excepthook = _say_nothing
        raise KeyboardInterrupt


def _say_nothing(_: threading.ExceptHookArgs) -> None:
    """What threads run into while the process ends is of no use to the user."""


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Handles SIGINT, SIGTERM and SIGHUP inside the block, in the main thread; what is ignored stays ignored.

    A command that `nohup` started ignores SIGHUP and goes on when its terminal closes.

    The handlers stay once a signal came, because the process is about to end and a second Ctrl-C should stay quiet.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    numbers = [each for each in _SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interruption.handle) for number in numbers}
    try:
        yield interruption
    finally:
        if not interruption.came:
            for number, handler in before.items():
                signal.signal(number, handler)
