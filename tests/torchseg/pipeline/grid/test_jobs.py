from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from torchseg.pipeline.grid.jobs import Jobs, last_line, read_outcomes

SLEEPER = """
import os, signal, sys, time
from pathlib import Path
import torchseg.__main__ as commands
from torchseg.pipeline.grid import child as grid_child
def sleep(argv):
    Path(argv[1]).write_text(str(os.getpid()))
    time.sleep(60)
commands.main = sleep
sys.exit(grid_child.main(sys.argv[1:]))
"""


DEAF_SLEEPER = SLEEPER.replace(
    "    time.sleep(60)",
    "    grid_child.PATIENCE_S = 0.1\n    signal.signal(signal.SIGINT, signal.SIG_IGN)\n    time.sleep(60)",
)
PATIENT_SLEEPER = DEAF_SLEEPER.replace("PATIENCE_S = 0.1", "PATIENCE_S = 600")  # not with an orphan


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_alive(pid):
    """A process that has ended and that nobody has asked about yet is not alive."""
    status = Path(f"/proc/{pid}/status")
    return status.is_file() and "\nState:\tZ" not in status.read_text()


def test_a_log_says_how_each_command_ended():
    text = (
        "$ torchseg train --epochs=1\n  trained: epoch 1 of 1\n\n[ended with 0 after 1.5 s, peak 300 MiB]\n"
        "$ torchseg export x\nerror: no room\n[ended with 2 after 0.1 s, peak 310 MiB]\n"
    )
    train, export = read_outcomes(text, 2)
    assert (train.command, train.code, train.peak_rss_mb) == ("train", 0, 300)
    assert (export.command, export.code, export.reason) == ("export", 2, "no room")


def test_a_process_that_dies_is_named_with_its_signal_and_last_words():
    (outcome,) = read_outcomes("$ torchseg train\nloading\n", -signal.SIGSEGV)
    assert outcome.reason == "its process died with SIGSEGV; its last line: loading"


@pytest.mark.slow
def test_commands_run_in_a_process_up_to_the_first_that_fails(tmp_path):
    log = tmp_path / "logs" / "a.log"
    outcomes = Jobs(threads=1).run([["prepare", "--help"], ["trian"], ["report", "--help"]], log)
    assert [(each.command, each.code) for each in outcomes] == [("prepare", 0), ("trian", 2)]
    assert "did you mean 'train'?" in outcomes[1].reason
    assert last_line(log).startswith("[ended with 2")


@pytest.mark.slow
def test_stopping_ends_what_runs_and_lets_nothing_begin(tmp_path):
    jobs, outcomes = Jobs(threads=1, program=(sys.executable, "-c", SLEEPER)), []
    pid_file = tmp_path / "pid"
    command = ["sleep", str(pid_file)]
    runner = threading.Thread(target=lambda: outcomes.extend(jobs.run([command], tmp_path / "a.log")))
    runner.start()
    wait_for(lambda: pid_file.is_file() and pid_file.read_text())
    jobs.stop()
    runner.join(timeout=10)
    assert not is_alive(int(pid_file.read_text()))
    assert outcomes[0].code != 0
    assert jobs.run([command], tmp_path / "a.log") == []


@pytest.mark.slow
def test_a_job_hears_interrupts_although_the_grid_runs_in_the_background():
    code = (
        "import signal, torchseg.__main__ as commands; from torchseg.pipeline.grid import child\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell has it for what it puts into the background\n"
        "commands.main = lambda _: print(signal.getsignal(signal.SIGINT)) or 0\n"
        "child.main(['[[\"train\"]]'])"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as job:
        assert b"default_int_handler" in job.stdout.read()


@pytest.mark.slow
@pytest.mark.parametrize(
    "sleeper", [SLEEPER, DEAF_SLEEPER, PATIENT_SLEEPER], ids=["hears the interrupt", "does not", "does not for long"]
)
def test_a_killed_parent_takes_its_children_along(sleeper, tmp_path):
    code = (
        "import sys; from pathlib import Path; from torchseg.pipeline.grid.jobs import Jobs\n"
        f"Jobs(threads=1, program=(sys.executable, '-c', {sleeper!r})).run([['sleep', 'pid']], Path('a.log'))"
    )
    paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths})
    pid_file = tmp_path / "pid"
    wait_for(lambda: pid_file.is_file() and pid_file.read_text())
    parent.kill()
    parent.wait()
    wait_for(lambda: not is_alive(int(pid_file.read_text())))
