"""Keeps converters that write to the terminal from inside compiled code silent."""

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
    """Swallows what a library prints, logs and warns about inside the block; an exception carries it as a note.

    TensorFlow's C++ part logs before its own log level is read, so only the file descriptors can stop it. They belong
    to the whole process: what other threads print meanwhile is swallowed too.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    level = logging.root.manager.disable
    with tempfile.TemporaryFile() as sink, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.ERROR)
        saved = [(descriptor, os.dup(descriptor)) for descriptor in (1, 2)]
        for descriptor, _ in saved:
            os.dup2(sink.fileno(), descriptor)
        try:
            # Python's own streams may write elsewhere than to the two descriptors.
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


def _restore(saved: list[tuple[int, int]]) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    for descriptor, copy in saved:
        os.dup2(copy, descriptor)
        os.close(copy)
