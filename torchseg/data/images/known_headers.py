"""Keeps the headers of files, which several checks of one data set ask for."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from pathlib import Path
from typing import TypeVar

_KEPT = 2**14  # of images, and as many of masks: a few megabytes
Header = TypeVar("Header")


def read_once(read: Callable[[Path], Header]) -> Callable[[Path], Header]:
    """The same function, which reads a file again only if its size, time or place on the disk has changed.

    Only the headers of the files that were asked for last are kept. Errors are not.
    """

    @lru_cache(maxsize=_KEPT)
    def kept(path: Path, state: tuple[int, int, int]) -> Header:
        return read(path)

    @wraps(read)
    def known(path: Path) -> Header:
        try:
            stat = path.stat()
        except OSError:
            return read(path)  # which says in its own words what is wrong
        return kept(path, (stat.st_size, stat.st_mtime_ns, stat.st_ino))

    return known
