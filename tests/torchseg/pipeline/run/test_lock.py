from __future__ import annotations

import errno
import os
import platform
import subprocess
import sys

import pytest

from torchseg.pipeline.run.lock import LOCK, locked, read_locked

HOLDS = """
import sys
from pathlib import Path
from torchseg.pipeline.run.lock import locked
with locked(Path(sys.argv[1])):
    print(flush=True)
    sys.stdin.read()
"""


def test_the_refusal_names_the_owner(tmp_path):
    owner = rf"process {os.getpid()} on {platform.node()} since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d"
    with locked(tmp_path / "run"):
        refused = rf"another command is running in .*run \({owner}\); wait until it has ended, or give another --out"
        with pytest.raises(ValueError, match=refused), locked(tmp_path / "run"):
            pass
    with locked(tmp_path / "run"):
        pass


@pytest.mark.parametrize("record", [b"", b"\xff", b"[]", b"{}"])
def test_an_owner_that_does_not_say_its_name_still_holds_the_lock(record, tmp_path):
    with locked(tmp_path):
        (tmp_path / LOCK).write_bytes(record)
        with pytest.raises(ValueError, match=rf"another command is running in {tmp_path}; wait"), locked(tmp_path):
            pass


def test_a_killed_command_leaves_the_folder_free(tmp_path):
    command = [sys.executable, "-c", HOLDS, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        refused = rf"another command is running in .* \(process {other.pid} on "
        with pytest.raises(ValueError, match=refused), locked(tmp_path):
            pass
        other.kill()
        other.wait()
        with locked(tmp_path):
            pass


@pytest.mark.skipif(os.name == "nt", reason="a lock of POSIX")
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_used_with_a_warning(number, tmp_path, monkeypatch, caplog):
    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    with locked(tmp_path):
        assert (tmp_path / LOCK).is_file()
    assert f"{tmp_path} is on a file system without locks: let no other command write there" in caplog.text


@pytest.mark.skipif(os.name == "nt", reason="a lock of POSIX")
def test_another_failure_of_a_lock_is_an_error(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(OSError, match="broken"), locked(tmp_path):
        pass


@pytest.mark.skipif(os.name == "nt", reason="Windows has no locks for readers")
def test_readers_share_a_folder_and_no_command_writes_meanwhile(tmp_path):
    refused = rf"another command is running in {tmp_path}"
    with locked(tmp_path), pytest.raises(ValueError, match=rf"{refused} \(process .*; wait until it has ended$"):
        _read(tmp_path)
    with read_locked(tmp_path):
        _read(tmp_path)
        with pytest.raises(ValueError, match=f"{refused}; wait"), locked(tmp_path):  # nobody knows by whom
            pass
    with locked(tmp_path):
        pass


def test_a_folder_that_no_command_has_locked_is_read_and_stays_as_it_is(tmp_path):
    _read(tmp_path)
    assert list(tmp_path.iterdir()) == []


def _read(folder):
    with read_locked(folder):
        pass
