from __future__ import annotations

import os
import subprocess
import sys

import pytest

from torchseg.config import PredictConfig
from torchseg.config.child_limits import within_limits
from torchseg.processes import child_limits as limits
from torchseg.processes.child_limits import child_limits, memory_limit_bytes, time_limit_s

ALLOCATES = """
from torchseg.processes.child_limits import limit_own_memory
limit_own_memory()
small = bytearray(10**8)
try:
    large = bytearray(10**9)
except MemoryError:
    print("no memory")
"""


def test_limits_hold_in_the_block_and_for_what_it_starts():
    before = memory_limit_bytes()
    with child_limits(memory_gb=0.5, minutes=2):
        assert (memory_limit_bytes(), time_limit_s(7)) == (5 * 10**8, 120)
        with child_limits(memory_gb=None, minutes=1):
            assert (memory_limit_bytes(), time_limit_s(7)) == (5 * 10**8, 60)
        assert time_limit_s(7) == 120
    assert (memory_limit_bytes(), time_limit_s(7)) == (before, 7)


@pytest.mark.parametrize(("total_gb", "limit_gb"), [(24, 6), (6, 2), (4, 2), (2, 1)])
def test_a_process_may_take_a_quarter_of_the_memory_or_2_gb_if_half_of_it_is_as_much(total_gb, limit_gb, monkeypatch):
    monkeypatch.setattr(limits, "total_memory", lambda: total_gb * 10**9)
    limit = limit_gb * 10**9
    assert memory_limit_bytes() == limit


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of Linux")
def test_a_process_that_limits_itself_gets_no_more_memory():
    with child_limits(memory_gb=0.5, minutes=None):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", ALLOCATES]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "no memory\n"


def test_the_flags_of_a_command_set_the_limits_of_its_job():
    config = PredictConfig(model="a.onnx", images=["a.png"], max_memory=1.5, max_minutes=0.5)
    assert within_limits(lambda _: (memory_limit_bytes(), time_limit_s(7)))(config) == (1_500_000_000, 30)
    plain = PredictConfig(model="a.onnx", images=["a.png"])
    assert within_limits(lambda _: time_limit_s(7))(plain) == 7


@pytest.mark.parametrize("flag", ["max_memory", "max_minutes"])
def test_limits_are_positive(flag):
    with pytest.raises(ValueError, match=f"{flag} is 0; give a positive number"):
        PredictConfig(model="a.onnx", images=["a.png"], **{flag: 0})
