"""Lines for the user: modules below the commands log them, and the commands show them as plain text.

`STDOUT.info(...)` makes an ordinary log record, which therefore reaches the log of the run as well. It is shown only
inside `console()`, so that a program with a log of its own decides itself what it shows.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

STDOUT = logging.getLogger("torchseg.stdout")
STDERR = logging.getLogger("torchseg.stderr")  # progress of commands whose result can be piped
_shown_at = [0.0]  # time.monotonic()


@contextmanager
def console() -> Iterator[None]:
    """Shows what is logged to `STDOUT` and `STDERR` on the stream of that name; inside another `console`, does nothing.

    Can decorate a function.
    """
    if any(isinstance(each, _Shown) for each in STDOUT.handlers):
        yield
        return
    handlers = {STDOUT: _Shown("stdout"), STDERR: _Shown("stderr")}
    for logger, handler in handlers.items():
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger, handler in handlers.items():
            logger.removeHandler(handler)
            logger.setLevel(logging.NOTSET)


def last_shown() -> float:
    """When the last line was shown, as `time.monotonic` counts; 0 if there was none."""
    return _shown_at[0]


class _Shown(logging.Handler):
    """Writes as `print` does: to the stream that has this name at that moment, and its errors are exceptions."""

    def __init__(self, stream: str) -> None:
        super().__init__()
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        stream = getattr(sys, self._stream)
        stream.write(f"{record.getMessage()}\n")
        stream.flush()
        _shown_at[0] = time.monotonic()
