"""Keeps memory that a process frees, so that a measured time does not depend on whether the system took it back."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of glibc's malloc.h
_NEVER = -1


def keep_freed_memory() -> None:
    """Makes glibc's allocator give nothing back to the system until the process ends; elsewhere, does nothing.

    PyTorch allocates the result of every layer anew. Whether the allocator returns large results to the system after
    the layer depends on what the process freed before. If it does, the system fills the new pages with zeros: 8 to 12
    of 35 ms for a student at 128x128, where another process with the same network spends none.
    """
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):  # musl has none
        library.mallopt(_TRIM_THRESHOLD, _NEVER)
        library.mallopt(_MMAP_MAX, 0)
