"""Runs a module of Python that can write into one folder alone and open no connection, where the system allows that.

    python -m torchseg.processes.confined FOLDER MODULE [ARGUMENT...]

Linux has this since 5.13 (Landlock); connections are refused since 6.7. On other systems the module runs as usual. The
limits hold for every thread and process that it starts and cannot be lifted. Also, the process ends when the thread
that started it does, on Linux. Source: https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from torchseg.processes.group import end_with_starter

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # numbers of the system calls, on every architecture
_VERSION = 1  # flag of the first one
_PATH_BENEATH = 1
_SET_NO_NEW_PRIVILEGES = 38  # of prctl
_WRITE_FILE, _REFER, _TRUNCATE = 1 << 1, 1 << 13, 1 << 14
_MAKE_AND_REMOVE = sum(1 << bit for bit in range(4, 13))
_CONNECTIONS = 0b11  # binding to and connecting over TCP
_OTHER_PROCESSES = 0b11  # abstract sockets and signals
_DEVICES = ("/dev/null",)


class _Ruleset(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("files", "network", "scoped")]


class _Rule(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = [("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32)]


def landlock_version() -> int:
    """What this system knows of Landlock; 0 if it is not Linux, an older kernel, or one that was started without it."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(0, int(ctypes.CDLL(None).syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)))


def confine(folder: Path) -> bool:
    """Takes from this thread, and all that it starts, the right to write outside of a folder and to open connections.

    Returns:
        Whether the system knows how; if not, nothing changed.

    Raises:
        OSError: if the folder cannot be opened, or if the system refuses what it should know.
    """
    version = landlock_version()
    if not version:
        return False
    library = ctypes.CDLL(None, use_errno=True)
    rights = _rights(version)
    ruleset = _Ruleset(rights, _CONNECTIONS if version >= 4 else 0, _OTHER_PROCESSES if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24  # older kernels know fewer fields
    rules = _checked(library.syscall(_CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(size), 0))
    try:
        _allow(library, rules, str(folder), rights)
        for device in filter(os.path.exists, _DEVICES):
            _allow(library, rules, device, rights & (_WRITE_FILE | _TRUNCATE))
        _checked(library.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
        _checked(library.syscall(_RESTRICT_SELF, rules, 0))
    finally:
        os.close(rules)
    return True


def _rights(version: int) -> int:
    """Every way to write that this version of Landlock knows: asking for more is an error."""
    return _WRITE_FILE | _MAKE_AND_REMOVE | (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)


def _allow(library: ctypes.CDLL, rules: int, path: str, rights: int) -> None:
    opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _Rule(rights, opened)
        _checked(library.syscall(_ADD_RULE, rules, _PATH_BENEATH, ctypes.byref(rule), 0))
    finally:
        os.close(opened)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"this process cannot be confined: {os.strerror(number)}")
    return result


def main(arguments: list[str]) -> None:
    """Confines this process and becomes `python -m MODULE`, which starts with the limits in place."""
    folder, module, *rest = arguments
    end_with_starter()
    confine(Path(folder))
    os.execv(sys.executable, [sys.executable, "-m", module, *rest])


if __name__ == "__main__":
    main(sys.argv[1:])
