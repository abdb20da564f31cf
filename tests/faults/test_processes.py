"""However a command ends, its processes end with it, and so does the lock of its folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest

from torchseg.pipeline.run.lock import locked

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends signals of POSIX")

READS = """
import os, sys, time
from pathlib import Path
from torchseg.data.cache import read_in_order
from torchseg.pipeline.run.lock import locked

class Slow:
    def __len__(self):
        return 100
    def __getitem__(self, index):
        os.write(1, f"{os.getpid()}{chr(10)}".encode())  # in one piece: two processes write here
        time.sleep(60)

def read(_=None):
    with locked(Path(sys.argv[1])):
        list(read_in_order(Slow(), processes=2))
"""
COMMAND = """
from dataclasses import dataclass
from torchseg.cli.command import run_command

@dataclass
class Config:
    \"\"\"Reads.\"\"\"

if __name__ == "__main__":
    sys.exit(run_command(Config, read, []))
"""


@pytest.fixture
def start():
    """Starts a program, and kills it and what it left behind when the test is over."""
    started = []

    def popen(code, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # What starts the tests in the background may ignore Ctrl-C, and its children would ignore it, too.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        started.append(process)
        return process

    yield popen
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _messages(process):
    """What a process said on stderr, without the lines that say how far it is."""
    return "".join(line for line in process.stderr if not line.startswith("  "))


def _children(process):
    return [psutil.Process(int(process.stdout.readline())) for _ in range(2)]


def _lives(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _wait_for_end(children, *, seconds):
    deadline = time.monotonic() + seconds
    while any(map(_lives, children)):
        assert time.monotonic() < deadline, "still alive"
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT])
def test_reading_processes_and_the_lock_end_with_a_command_that_dies(number, tmp_path, start):
    process = start(f"{READS}\nread()", tmp_path)
    children = _children(process)
    process.send_signal(number)
    process.wait(60)
    _wait_for_end(children, seconds=30)
    with locked(tmp_path):
        pass


@pytest.mark.slow
def test_the_lock_is_free_the_moment_its_command_dies(tmp_path, start):
    """Its children may need a moment to notice, and must not hold the lock until then."""
    process = start(f"{READS}\nread()", tmp_path)
    children = _children(process)
    for child in children:
        child.suspend()
    process.kill()
    process.wait(60)
    try:
        with locked(tmp_path):
            pass
    finally:
        for child in children:
            child.kill()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_command_and_its_processes_with_one_message(number, code, tmp_path, start):
    process = start(READS + COMMAND, tmp_path)
    children = _children(process)
    os.killpg(process.pid, number)  # as a terminal does
    _wait_for_end(children, seconds=30)
    assert process.wait(20) == code  # on a busy machine, Python takes seconds to take PyTorch down
    assert _messages(process) == "\nstopped; run the same command to resume\n"


def test_a_second_ctrl_c_is_quiet(start):
    stubborn = """
import sys, time
from dataclasses import dataclass
from torchseg.cli.command import run_command

@dataclass
class Config:
    \"\"\"Waits.\"\"\"

def wait(_):
    try:
        print(flush=True)
        time.sleep(60)
    finally:
        print(flush=True)
        time.sleep(60)

sys.exit(run_command(Config, wait, []))
"""
    process = start(stubborn)
    for _ in range(2):
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert _messages(process) == "\nstopped; run the same command to resume\n"
