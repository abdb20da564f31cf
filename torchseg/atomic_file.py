"""Atomic writes: a file appears under its final name only when it is complete and on the disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def partial_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path next to `path`, which is renamed to `path` on success and deleted on failure.

    The suffix is kept, because writers and readers infer the format from it. Parent folders are created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        with naming(path):
            yield partial
            partial.chmod(_mode_of_new_files())  # some libraries write files that their owner alone can read
            sync(partial)
            partial.replace(path)
            sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def save_text(path: Path, text: str) -> None:
    """Writes a text file in UTF-8, as `partial_file` does."""
    with partial_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Adds the file to errors of the system that name none, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def sync(path: Path) -> None:
    """Returns when a file, or the list of names in a folder, is on the disk and would survive a power cut.

    Does nothing for folders on Windows and on file systems that do not support it.
    """
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def _mode_of_new_files() -> int:
    mask = os.umask(0o077)  # which can only be read by setting it
    os.umask(mask)
    return 0o666 & ~mask
