"""Lines for the user: modules below the commands log them, and the commands show them as plain text.

`STDOUT.info(...)` makes an ordinary log record, which therefore reaches the log of the run as well. It is shown only
inside `console()`, so that a program with a log of its own decides itself what it shows.
"""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

STDOUT = logging.getLogger("torchseg.stdout")
STDERR = logging.getLogger("torchseg.stderr")  # progress of commands whose result can be piped
_PACKAGES = ("torchseg", "tf_bridge")
_SHOWN = 3  # warnings of a kind
_shown_at = [0.0]  # time.monotonic()


@contextmanager
def console() -> Iterator[None]:
    """Shows what is logged to `STDOUT` and `STDERR` on the stream of that name; inside another `console`, does nothing.

    Of warnings that differ only in names and numbers, the first few are shown, and in the end how many more there were.
    Can decorate a function.
    """
    if any(isinstance(each, _Shown) for each in STDOUT.handlers):
        yield
        return
    handlers = {STDOUT: _Shown("stdout"), STDERR: _Shown("stderr")}
    warnings = _Warnings()
    for logger, handler in handlers.items():
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
    for name in _PACKAGES:
        logging.getLogger(name).addHandler(warnings)
    try:
        yield
    finally:
        for logger, handler in handlers.items():
            logger.removeHandler(handler)
            logger.setLevel(logging.NOTSET)
        for name in _PACKAGES:
            logging.getLogger(name).removeHandler(warnings)
        warnings.tell_rest()


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


class _Warnings(logging.Handler):
    """Shows warnings on stderr, as Python does where no other handler is set up, but only the first of each kind."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._first: dict[tuple[str, str], str] = {}  # message of each kind: by logger and pattern
        self._counts: Counter[tuple[str, str]] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        if record.name in (STDOUT.name, STDERR.name) or logging.getLogger().handlers:  # shown, or kept, elsewhere
            return
        kind, message = (record.name, str(record.msg)), record.getMessage()
        self._first.setdefault(kind, message)
        self._counts[kind] += 1
        if self._counts[kind] <= _SHOWN:
            _to_stderr(message)

    def tell_rest(self) -> None:
        """Says how many warnings of each kind were not shown."""
        for kind, count in self._counts.items():
            if count > _SHOWN:
                _to_stderr(f"{count - _SHOWN} more like: {self._first[kind]}")


def _to_stderr(line: str) -> None:
    with suppress(OSError):  # nobody reads it any more
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
