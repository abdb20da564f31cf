"""The CPU's name, and the peak memory of this process."""

from __future__ import annotations

import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")

_STATUS = Path("/proc/self/status")


def cpu_name() -> str:
    """The CPU's model name, or its architecture if the system does not give a name."""
    if _CPUINFO.exists():
        for line in _CPUINFO.read_text(errors="replace", encoding="utf-8").splitlines():
            if line.lower().startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def peak_memory_mb() -> float:
    """Peak resident memory since the process began, in MiB.

    Linux's VmHWM is preferred: with `getrusage` a child inherits the parent's peak across fork and exec.
    """
    if _STATUS.exists():
        for line in _STATUS.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return _windows_peak_mb() or _unix_peak_mb()


def _windows_peak_mb() -> float:
    """Peak resident memory in MiB; 0 on systems other than Windows."""
    import psutil

    return float(getattr(psutil.Process().memory_info(), "peak_wset", 0)) / 2**20


def _unix_peak_mb() -> float:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if platform.system() == "Darwin" else 2**10)  # bytes on macOS, KiB elsewhere
