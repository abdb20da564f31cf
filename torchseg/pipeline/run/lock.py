"""Locks a folder against other commands; the lock names its owner and ends with its process, however that ends."""

from __future__ import annotations

import errno
import json
import logging
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from torchseg.record import build, plain_json

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK = ".lock"
_LOCKED_BYTE = 2**30  # far behind the owner's record, because Windows lets nobody else read a locked byte
_LONGEST_RECORD = 1000
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)
_LOG = logging.getLogger(__name__)
_held: set[int] = set()  # descriptors


@dataclass(frozen=True, kw_only=True)
class _Owner:
    """What the lock says of the process that holds it."""

    pid: int
    host: str
    since: str


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Locks a folder, which is created if it is missing, against every other process and a second call of this one.

    The file stays when the lock ends: were it deleted, another process could lock a new file of that name.

    Raises:
        ValueError: if the folder is locked; the message names the owner.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            _take(descriptor)
        except (BlockingIOError, PermissionError) as error:
            raise ValueError(
                f"another command is running in {folder}{_owner(folder / LOCK)}; wait until it has ended, or give "
                "another --out"
            ) from error
        except OSError as error:  # of network shares, most of all
            if error.errno not in _NO_LOCKS:
                raise
            _LOG.warning("%s is on a file system without locks: let no other command write there meanwhile", folder)
        _held.add(descriptor)
        _sign(descriptor)
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)  # a reader that holds the lock next does not write who it is
    finally:
        _held.discard(descriptor)
        os.close(descriptor)


@contextmanager
def read_locked(folder: Path) -> Iterator[None]:
    """Keeps commands that write out of a folder; several readers may hold it at once, and nothing is written.

    Does nothing where no command has locked the folder before, where its lock cannot be opened, on file systems without
    locks, and on Windows, which has none for readers.

    Raises:
        ValueError: if a command is running in the folder; the message names it.
    """
    descriptor = _opened_to_read(folder / LOCK)
    if descriptor is None:
        yield
        return
    try:
        _take_to_read(descriptor, folder)
        _held.add(descriptor)
        yield
    finally:
        _held.discard(descriptor)
        os.close(descriptor)


def _opened_to_read(path: Path) -> int | None:
    try:
        return None if sys.platform == "win32" else os.open(path, os.O_RDONLY)
    except (FileNotFoundError, PermissionError):
        return None


def _take_to_read(descriptor: int, folder: Path) -> None:
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = _owner(folder / LOCK)
        raise ValueError(f"another command is running in {folder}{owner}; wait until it has ended") from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def _take(descriptor: int) -> None:
    if sys.platform == "win32":
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sign(descriptor: int) -> None:
    owner = _Owner(pid=os.getpid(), host=platform.node(), since=time.strftime("%Y-%m-%d %H:%M:%S"))
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, json.dumps(asdict(owner)).encode())


def _owner(path: Path) -> str:
    """` (process 12 on host since 2026-01-31 12:00:00)`; empty if the lock does not say."""
    try:
        with path.open("rb") as file:
            values = plain_json(file.read(_LONGEST_RECORD).decode())
        owner = build(_Owner, values, path=path, remedy="")
    except (OSError, ValueError):
        return ""
    return f" (process {owner.pid} on {owner.host[:80]} since {owner.since[:80]})"


def _let_go() -> None:
    """Closes the locks in a forked child, which would otherwise hold them for as long as it outlives its parent."""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, where children inherit nothing
    os.register_at_fork(after_in_child=_let_go)
