"""The processor that numbers were measured on, and the peak memory of this process."""

from __future__ import annotations

import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")

_STATUS = Path("/proc/self/status")


def cpu_name() -> str:
    """The processor's model name; its architecture where the system does not say more."""
    if _CPUINFO.exists():
        for line in _CPUINFO.read_text(errors="replace", encoding="utf-8").splitlines():
            if line.lower().startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def peak_memory_mb() -> float:
    """High-water mark of resident memory since the process began, in MiB.

    Linux's VmHWM is asked first: `getrusage` hands a child the parent's mark across fork and exec.
    """
    if _STATUS.exists():
        for line in _STATUS.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return _windows_peak_mb() or _unix_peak_mb()


def _windows_peak_mb() -> float:
    """0 where the system is another one."""
    import psutil

    return float(getattr(psutil.Process().memory_info(), "peak_wset", 0)) / 2**20


def _unix_peak_mb() -> float:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if platform.system() == "Darwin" else 2**10)  # bytes on macOS, KiB elsewhere
