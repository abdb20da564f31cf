"""A confined process writes into its folder and nowhere else, and opens no connection."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil
import pytest

import torchseg.processes.confined as confined
from torchseg.processes.confined import confine, landlock_version

IMPORTS = "import os, subprocess, sys, threading"
needs_landlock = pytest.mark.skipif(not landlock_version(), reason="needs Landlock: Linux 5.13")


@pytest.fixture
def run_confined(tmp_path, monkeypatch):
    """Runs a program that may write below `inside`, and gives what it printed and its last line of errors."""
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/old").write_text("old")

    def start(program, **options):
        (tmp_path / "program.py").write_text(program)
        command = [sys.executable, "-m", "torchseg.processes.confined", str(tmp_path / "inside"), "program"]
        paths = os.pathsep.join([str(tmp_path), *(path or "." for path in sys.path)])
        return subprocess.Popen(
            command, env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(program):
        out, errors = start(program).communicate(timeout=60)
        return out, (errors.strip().splitlines() or [""])[-1]

    run.start = start
    return run


@needs_landlock
def test_it_writes_into_its_folder(run_confined, tmp_path):
    program = (
        "import pathlib; p = pathlib.Path('inside/a/b'); p.parent.mkdir(); p.write_text('x'); p.unlink(); print('ok')"
    )
    assert run_confined(program) == ("ok\n", "")


@needs_landlock
@pytest.mark.parametrize(
    "attack",
    [
        "open('outside/new', 'w')",
        "open('outside/old', 'a').write('new')",
        "os.truncate('outside/old', 0)",
        "os.remove('outside/old')",
        "os.rename('outside/old', 'inside/old')",
        "os.mkdir('outside/folder')",
        "os.symlink('/', 'outside/link')",
        "os.link('outside/old', 'inside/old'); open('inside/old', 'w').close()",
        "subprocess.run([sys.executable, '-c', 'open(\"outside/new\", \"w\")'], check=True)",
        "threads = [threading.Thread(target=open, args=('outside/new', 'w'))]; threads[0].start(); threads[0].join()",
    ],
)
def test_it_changes_nothing_elsewhere(attack, run_confined, tmp_path):
    def changed(folder):
        return [path.name for path in folder.iterdir()] != ["old"] or (folder / "old").read_text() != "old"

    run_confined(f"{IMPORTS}\n{attack}")
    assert not changed(tmp_path / "outside")
    subprocess.run([sys.executable, "-c", f"{IMPORTS}\n{attack}"], check=True)  # without limits
    assert changed(tmp_path / "outside")


@needs_landlock
def test_it_still_reads_and_can_throw_output_away(run_confined):
    program = "import os; print(open('outside/old').read()); open(os.devnull, 'w').write('x')"
    assert run_confined(program) == ("old\n", "")


@pytest.mark.skipif(landlock_version() < 4, reason="needs Linux 6.7")
def test_it_opens_no_connection(run_confined):
    program = "import socket; socket.socket().bind(('127.0.0.1', 0))"
    assert "Permission denied" in run_confined(program)[1]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux tells a process that its parent died")
def test_it_ends_with_the_process_that_started_it(run_confined, tmp_path):
    child = "import os, time; os.write(1, f'{os.getpid()}\\n'.encode()); time.sleep(60)"
    (tmp_path / "child.py").write_text(child)
    starter = f"""
import os, subprocess, sys
subprocess.run([sys.executable, "-m", "torchseg.processes.confined", {str(tmp_path / "inside")!r}, "child"])
"""
    paths = os.pathsep.join([str(tmp_path), *(path or "." for path in sys.path)])
    environment = {**os.environ, "PYTHONPATH": paths}
    with subprocess.Popen(
        [sys.executable, "-c", starter], env=environment, stdout=subprocess.PIPE, text=True
    ) as parent:
        process = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        deadline = time.monotonic() + 5
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, "still alive"
            time.sleep(0.02)


def test_a_system_without_it_changes_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(confined.sys, "platform", "darwin")
    assert not confine(tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(confined, "_CREATE_RULESET", 100_000)  # an older kernel does not know the call
    assert not confine(tmp_path)


@pytest.mark.parametrize(("version", "rights"), [(1, 0x1FF2), (2, 0x3FF2), (3, 0x7FF2), (7, 0x7FF2)])
def test_an_older_kernel_is_asked_for_what_it_knows(version, rights):
    assert confined._rights(version) == rights
