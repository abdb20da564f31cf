"""Streams that are closed, or that nobody reads, and the last message of a command that the system stops."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.torchseg.cli.test_command import _Config
from torchseg.cli.command import run_command
from torchseg.cli.terminal import PIPE_CLOSED

needs_posix = pytest.mark.skipif(os.name == "nt", reason="closes descriptors as shells of POSIX do")
PROGRAM = """
import os, sys
from tests.torchseg.cli.test_command import _Config
from torchseg.cli.command import run_command
from torchseg.console import STDOUT
def job(config):
    opened = os.open(os.devnull, os.O_RDONLY)
    for _ in range(config.times):
        STDOUT.info("a line")
    return 0 if opened > 2 else 1
sys.exit(run_command(_Config, job, sys.argv[1:]))
"""


def run_in_shell(redirections: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """Runs the program above in a shell, which ends with its exit code."""
    shell = f'{{ "$0" -c "$PROGRAM" a.txt {" ".join(flags)}; echo $? >code; }} {redirections}; exit $(cat code)'
    paths = os.pathsep.join([str(Path(__file__).parents[3]), *sys.path])
    environment = {**os.environ, "PYTHONPATH": paths, "PROGRAM": PROGRAM}
    return subprocess.run(
        ["sh", "-c", shell, sys.executable], env=environment, capture_output=True, text=True, check=False
    )


@needs_posix
@pytest.mark.parametrize("redirections", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_command_with_closed_streams_does_its_work(redirections, tmp_path):
    done = run_in_shell(redirections)
    assert (done.returncode, done.stderr) == (0, "")


@needs_posix
def test_a_command_whose_output_nobody_reads_stops_with_one_line(tmp_path):
    done = run_in_shell("| head -n 1", "--times", "100000")
    assert done.returncode == PIPE_CLOSED == 141
    assert done.stdout == "a line\n"
    assert done.stderr == "stopped: nobody reads its output any more; run the same command to resume\n"


@needs_posix
def test_it_stops_as_well_if_nobody_reads_its_messages(tmp_path):
    assert run_in_shell("2>&1 | head -n 1", "--times", "100000").returncode == PIPE_CLOSED


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "free some space and run the same command again"),
        (errno.EACCES, "change its permissions, or give another path"),
        (errno.EROFS, "give a path on a file system that can be written"),
        (errno.ENAMETOOLONG, "give a shorter path"),
        (errno.ENOTDIR, "a part of this path is a file: give another path"),
        (errno.EMFILE, "raise the limit of open files (ulimit -n)"),
    ],
)
def test_what_the_system_refuses_comes_with_the_path_and_what_to_do(number, advice, refusal):
    def job(_):
        raise OSError(number, os.strerror(number), "out/file")

    assert run_command(_Config, job, ["a.txt"]) == 2
    assert re.search(rf"{re.escape(os.strerror(number))}: 'out/file'; {re.escape(advice)}$", refusal())


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "there is not enough memory; close"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            "there is not enough memory ([enforce fail] DefaultCPUAllocator: can't allocate memory: you tried",
        ),
    ],
)
def test_a_lack_of_memory_is_one_message(error, said, refusal):
    def job(_):
        raise error

    assert run_command(_Config, job, ["a.txt"]) == 2
    assert said in refusal()


def test_any_other_error_of_a_library_keeps_its_traceback():
    def job(_):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        run_command(_Config, job, ["a.txt"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "flags.yaml is missing or no plain file"),
        ("hello\n", "flags.yaml is not a file of flags: it holds 'hello'"),
        ("- word\n", "flags.yaml is not a file of flags: it holds ['word']"),
    ],
)
def test_what_is_no_file_of_flags_is_one_message(content, said, refusal):
    if content:
        Path("flags.yaml").write_text(content)
    assert run_command(_Config, lambda _: 0, ["--config", "flags.yaml", "a.txt"]) == 2
    assert refusal() == f"error: {said}; give a YAML file of flags, as --print_config writes it"
