from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from torchseg.processes.group import interrupt_self, kept_apart, kill_all

PARENT = """
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid, flush=True)
input()
"""


@pytest.fixture(params=["sessions", "none, as on Windows"])
def system(request, monkeypatch):
    """This system, and one that has neither process groups nor their calls."""
    if request.param != "sessions":
        monkeypatch.delattr(os, "killpg", raising=False)


def test_a_process_ends_with_all_that_it_started(system):
    with subprocess.Popen([sys.executable, "-c", PARENT], stdin=-1, stdout=-1, **kept_apart()) as process:
        child = psutil.Process(int(process.stdout.readline()))
        kill_all(process.pid)
        process.wait(10)
    deadline = time.monotonic() + 10
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline


@pytest.fixture
def hears_interrupts():
    """A shell has what it puts into the background ignore Ctrl-C, and a test suite may be that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_thread_can_interrupt_the_process(system, hears_interrupts):
    def wait():
        threading.Thread(target=interrupt_self).start()
        for _ in range(1000):
            time.sleep(0.01)

    with pytest.raises(KeyboardInterrupt):
        wait()


def test_windows_keeps_processes_apart_by_a_group(monkeypatch):
    monkeypatch.setattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 512, raising=False)
    assert kept_apart() == {"creationflags": 512}
