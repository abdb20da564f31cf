from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

CODE = """
import resource
from torchseg.processes.freed_memory import keep_freed_memory

keep_freed_memory()
for turn in range(12):
    if turn == 2:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    first, second = b'1' * 2**26, b'2' * 2**26
    del first, second
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
NEEDS_GLIBC = pytest.mark.skipif(
    not sys.platform.startswith("linux") or not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs glibc"
)


def faults(code):
    return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


@NEEDS_GLIBC
def test_what_was_freed_is_used_again_without_page_faults():
    assert faults(CODE) < 1_000
    assert faults(CODE.replace("\nkeep_freed_memory()", "")) > 10_000  # else this test shows nothing
