"""The processor that numbers were measured on."""

from __future__ import annotations

import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


def cpu_name() -> str:
    """The processor's model name; its architecture where the system does not say more."""
    if _CPUINFO.exists():
        for line in _CPUINFO.read_text(errors="replace", encoding="utf-8").splitlines():
            if line.lower().startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
