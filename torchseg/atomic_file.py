"""Atomic writes: a file appears under its final name only when it is complete and on the disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What file systems answer that cannot do what was asked for.
_UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
_NOT_FOR_FOLDERS = (*_UNSUPPORTED, errno.EACCES, errno.EPERM, errno.EISDIR)


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
            _share(partial)
            sync(partial)
            move_over(partial, path)
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


def move_over(source: Path, target: Path) -> None:
    """Renames a file or folder, in place of a file that may be there.

    Some shares cannot rename over a file. There, the old one gets another name first, so that it is not lost if the new
    one cannot get its own; a kill between the two leaves no file of that name.
    """
    try:
        source.replace(target)
    except FileExistsError:
        if not target.is_file():
            raise
        old = target.with_name(f".{target.stem}.old{target.suffix}")
        old.unlink(missing_ok=True)
        target.rename(old)
        try:
            source.rename(target)
        except OSError:
            old.rename(target)
            raise
        old.unlink()


def sync(path: Path) -> None:
    """Returns when a file, or the list of names in a folder, is on the disk and would survive a power cut.

    Does nothing for folders on Windows and on file systems that do not support it.
    """
    if path.is_dir() and os.name == "nt":
        return
    try:
        descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in (_NOT_FOR_FOLDERS if path.is_dir() else _UNSUPPORTED):
            raise


def _share(path: Path) -> None:
    """Lets others read the file as far as new files may be read: some libraries write files for their owner alone."""
    mask = os.umask(0o077)  # which can only be read by setting it
    os.umask(mask)
    try:
        path.chmod(0o666 & ~mask)
    except OSError as error:
        if error.errno not in (errno.EPERM, *_UNSUPPORTED):  # of file systems without such rights
            raise
