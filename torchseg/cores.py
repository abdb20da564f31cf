"""Number of cores that this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

from torchseg.control_groups import GROUPS, MEMBERSHIP, group_folders


def available_cores(*, groups: Path = GROUPS, membership: Path = MEMBERSHIP) -> int:
    """Cores that this process may use: the smaller of its CPU affinity and the CPU quota of its control groups.

    A container on a large machine sees all cores, but is throttled once it has used up its quota; more threads than the
    quota make it slower and its timings erratic.

    Args:
        groups: mount point of the control groups.
        membership: file that lists the groups of this process, like `/proc/self/cgroup`.

    Returns:
        At least 1.
    """
    folders = group_folders("cpu", groups=groups, membership=membership)
    quotas = [math.ceil(quota) for folder in folders for quota in _quota(folder)]
    return max(1, min([_scheduled_cores(), *quotas]))


def _scheduled_cores() -> int:
    """Cores in the CPU affinity of this process; all cores where affinity is not available (macOS, Windows)."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _quota(folder: Path) -> Iterator[float]:
    """Reads a quota in cores: cgroup v2 has `QUOTA PERIOD` in one file, v1 has two files; `max` and -1: no limit."""
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
