"""How many threads can really compute at once in this process."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def available_cores(*, groups: Path = _GROUPS, membership: Path = _MEMBERSHIP) -> int:
    """Cores that this process may use: its affinity, or its control groups' CPU quota where that is less.

    A container on a large machine sees all of its cores and is stopped in mid-computation once its quota is used up;
    more threads than the quota make it slower and its times erratic.

    Args:
        groups: where control groups are mounted.
        membership: names the groups of this process, as `/proc/self/cgroup` does.
    """
    quotas = [math.ceil(quota) for quota in _quotas(groups, membership)]
    return max(1, min([len(os.sched_getaffinity(0)), *quotas]))


def _quotas(groups: Path, membership: Path) -> Iterator[float]:
    """Cores that each group of this process and each group above it grants; nothing where there is no limit."""
    lines = membership.read_text(encoding="utf-8").splitlines() if membership.is_file() else []
    for line in lines:
        _, controllers, name = line.split(":", 2)
        names = controllers.split(",")
        if controllers and "cpu" not in names:
            continue
        mounts = [groups / controllers, groups / "cpu"] if controllers else [groups, groups / "unified"]
        for mount in mounts:
            inside = mount / name.lstrip("/")
            # A container that sees its own group as the root has its limit at the mount itself.
            for folder in (inside, *inside.parents):
                if folder.is_relative_to(mount):
                    yield from _quota(folder)


def _quota(folder: Path) -> Iterator[float]:
    """Version 2 keeps `QUOTA PERIOD` in one file, version 1 in two; `max` and -1 mean no limit."""
    try:
        if (folder / "cpu.max").is_file():
            quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text(encoding="utf-8").strip()
            period = (folder / "cpu.cfs_period_us").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return
    if quota not in ("max", "-1") and float(period) > 0:
        yield float(quota) / float(period)
