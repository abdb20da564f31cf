"""Memory that this process may use: that of the machine or, in a container, that of its control groups.

Also tells by its message whether an error is about a lack of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from torchseg.control_groups import GROUPS, MEMBERSHIP, group_folders

_LIMITS = ("memory.max", "memory.high", "memory.limit_in_bytes")  # of version 2, above which it is slowed down, of 1
_NO_MEMORY = ("memoryerror", "bad_alloc", "bad allocation", "alloc memory", "allocate memory", "out of memory")
_USED = ("memory.current", "memory.usage_in_bytes")
_CACHES = ("inactive_file", "active_file", "total_inactive_file", "total_active_file")  # given up when memory is short


def tells_of_no_memory(message: str) -> bool:
    """Whether the message of an error is about a lack of memory: Python, PyTorch and runtimes each say it their way."""
    return any(words in message.lower() for words in _NO_MEMORY)


@cache
def total_memory() -> int:
    """Bytes of memory that this process could use if it was alone; looked up once, since every image asks for it."""
    return memory_within(GROUPS, MEMBERSHIP)


def memory_within(groups: Path, membership: Path) -> int:
    """Bytes of memory of the machine or, if that is less, of these control groups.

    Args:
        groups: mount point of the control groups.
        membership: file that lists the groups of this process, like `/proc/self/cgroup`.
    """
    folders = group_folders("memory", groups=groups, membership=membership)
    return min([_machine_memory(), *(limit for folder in folders for limit in _numbers(folder, _LIMITS))])


def available_memory(*, groups: Path = GROUPS, membership: Path = MEMBERSHIP) -> int:
    """Bytes of memory that this process can still take now; the arguments are those of `memory_within`."""
    import psutil

    found = [psutil.virtual_memory().available]
    for folder in group_folders("memory", groups=groups, membership=membership):
        limits, used = [*_numbers(folder, _LIMITS)], sum(_numbers(folder, _USED))
        found += [max(0, limit - max(0, used - _cached(folder))) for limit in limits]
    return min(found)


def _machine_memory() -> int:
    if hasattr(os, "sysconf"):  # psutil takes longer to import than the rest of a command's start
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    import psutil

    return int(psutil.virtual_memory().total)


def _numbers(folder: Path, names: tuple[str, ...]) -> Iterator[int]:
    """The numbers in those files of a group that exist; `max` is no number, and stands for no limit."""
    for name in names:
        with suppress(OSError, ValueError):
            yield int((folder / name).read_text(encoding="utf-8"))


def _cached(folder: Path) -> int:
    """Bytes of files that the group holds in memory.

    Version 1 counts those of the groups below a second time, under names that start with `total`.
    """
    with suppress(OSError, ValueError):
        lines = (folder / "memory.stat").read_text(encoding="utf-8").splitlines()
        values = {name: int(value) for name, value in (line.split() for line in lines)}
        own, total = (sum(values.get(name, 0) for name in names) for names in (_CACHES[:2], _CACHES[2:]))
        return max(own, total)
    return 0
