"""How much memory and time a process may take that runs a file of unknown origin.

A few hundred bytes of a model file can stand for gigabytes, or for a loop without end. The limits are environment
variables, as trust in code is, so that the processes that a command starts inherit them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from torchseg.processes.memory import total_memory

if sys.platform != "win32":
    import resource

_MEMORY, _SECONDS = "TORCHSEG_MAX_MEMORY_BYTES", "TORCHSEG_MAX_SECONDS"
_MEMORY_SHARE, _MOST_SHARE = 0.25, 0.5  # of the memory of the machine or container
_LEAST_BYTES = 2 * 10**9  # clean files of 10 MB take 0.1 to 0.5 GB, whatever the runtime and the number of threads


@contextmanager
def child_limits(*, memory_gb: float | None, minutes: float | None) -> Iterator[None]:
    """Sets limits for the processes that are started in the block; None keeps those that hold already.

    Args:
        memory_gb: in 10^9 bytes, for each process.
        minutes: for each call of such a process.
    """
    wanted = {_MEMORY: memory_gb and memory_gb * 1e9, _SECONDS: minutes and minutes * 60}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update({name: str(value) for name, value in wanted.items() if value})
    try:
        yield
    finally:
        for name, text in before.items():
            if text is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = text


def memory_limit_bytes() -> int:
    """Bytes that each process may take: as set, else a quarter of all, or 2 GB if that is more and at most half."""
    total = total_memory()
    default = max(_MEMORY_SHARE * total, min(_LEAST_BYTES, _MOST_SHARE * total))
    return int(_number(_MEMORY) or default)


def time_limit_s(default: float) -> float:
    """The seconds that a call may take: as set, else `default`."""
    return _number(_SECONDS) or default


def own_limits() -> dict[str, str]:
    """Environment of a child: the limits that hold here, so that it need not ask for the machine's memory."""
    return {_MEMORY: str(memory_limit_bytes())}


def limit_own_memory() -> None:
    """Lets this process allocate no more than its limit; not on Windows, which has no such limits for a process.

    The limit is on the data that is allocated (RLIMIT_DATA). One on addresses would stop runtimes that reserve
    addresses and never use them.
    """
    if sys.platform != "win32":
        limit, (_, most) = memory_limit_bytes(), resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (limit if most < 0 else min(limit, most), most))


def memory_advice() -> str:
    """What the message of a process that died for lack of memory adds."""
    return f"each process may take {memory_limit_bytes() / 1e9:.1f} GB (--max_memory)"


def _number(name: str) -> float | None:
    try:
        return float(os.environ.get(name, ""))
    except ValueError:
        return None
