"""Peak resident memory of this process."""

from __future__ import annotations

from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak_memory_mb() -> float:
    """High-water mark of resident memory since the process began, in MiB.

    Linux's VmHWM is asked first: `getrusage` hands a child the parent's mark across fork and exec.
    """
    if _STATUS.exists():
        for line in _STATUS.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    import psutil

    memory = psutil.Process().memory_info()
    return float(getattr(memory, "peak_wset", memory.rss)) / 2**20
