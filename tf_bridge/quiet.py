"""Silences converters that write to the terminal from compiled code."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppresses output, log messages and warnings inside the block; an exception carries the output as a note.

    TensorFlow's C++ code logs before it reads its own log level, so the file descriptors 1 and 2 have to be redirected.
    They belong to the whole process: output of other threads during the block is suppressed too.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    level, handlers = logging.root.manager.disable, list(logging.root.handlers)
    with tempfile.TemporaryFile() as sink, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.ERROR)
        saved = [(descriptor, os.dup(descriptor)) for descriptor in (1, 2)]
        for descriptor, _ in saved:
            os.dup2(sink.fileno(), descriptor)
        try:
            # sys.stdout and sys.stderr might write elsewhere than to descriptors 1 and 2.
            with (
                io.TextIOWrapper(io.FileIO(os.dup(sink.fileno()), "w"), write_through=True, encoding="utf-8") as text,
                contextlib.redirect_stdout(text),
                contextlib.redirect_stderr(text),
            ):
                yield
        except BaseException as error:
            sys.stdout.flush()
            sys.stderr.flush()
            sink.seek(0)
            if said := sink.read().decode(errors="replace").strip():
                error.add_note(said)
            raise
        finally:
            _restore(saved)
            logging.disable(level)
            logging.root.handlers[:] = handlers  # drops handlers that a library added for streams that are closed now


def _restore(saved: list[tuple[int, int]]) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    for descriptor, copy in saved:
        os.dup2(copy, descriptor)
        os.close(copy)
