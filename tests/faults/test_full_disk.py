"""A full disk is one message that names the file, and what is there stays whole."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from scripts import train
from tests.faults.commands import PROGRAM, ROOT, arguments, results
from tests.faults.mutations import number_of, report
from torchseg.atomic_file import partial_file, save_text
from torchseg.checkpoint import write_tensors
from torchseg.data import CacheWriter
from torchseg.data.datasets.scenes import Scenes

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_the_file_is_named_and_the_old_one_stays(tmp_path):
    (tmp_path / "table.csv").write_text("old")
    with (
        pytest.raises(OSError, match=r"No space left on device: '.*table\.csv'"),
        partial_file(tmp_path / "table.csv"),
    ):
        raise FULL
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]
    assert (tmp_path / "table.csv").read_text() == "old"


def test_a_text_that_cannot_be_written_is_named_and_the_old_one_stays(tmp_path, monkeypatch):
    (tmp_path / "config.yaml").write_text("old")
    write = Path.write_text

    def fails(path, *_, **__):
        write(path, "ha", encoding="utf-8")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", fails)
    with pytest.raises(OSError, match=r"No space left on device: '.*config\.yaml'"):
        save_text(tmp_path / "config.yaml", "half of it")
    assert (tmp_path / "config.yaml").read_text() == "old"


def test_weights_that_cannot_be_written_are_named(tmp_path, monkeypatch):
    def fails(*_, **__):
        raise SafetensorError("No space left on device (os error 28)")

    monkeypatch.setattr("torchseg.tensor_file.save_file", fails)
    with pytest.raises(OSError, match=r"net\.safetensors cannot be written .*; free some space"):
        write_tensors({"a": torch.zeros(1)}, tmp_path / "net.safetensors")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device of Linux")
def test_a_cache_that_does_not_fit_is_named(tmp_path):
    (tmp_path / "train.bin").symlink_to("/dev/full")
    writer = CacheWriter(tmp_path / "train", limit_bytes=10**9)
    with pytest.raises(OSError, match=r"No space left on device: '.*train\.bin'"):
        writer.add(Scenes("train", height=128, width=128, length=1)[0])
    os.dup2(os.open(os.devnull, os.O_WRONLY), writer._file.fileno())  # what is left in its buffer goes there
    writer._file.close()


def test_a_command_says_what_to_do(monkeypatch, refusal):
    def fails(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "runs/scenes/data.json")

    monkeypatch.setattr("torchseg.pipeline.commands.train.train", fails)
    assert train.main([]) == 2
    assert refusal().endswith("'runs/scenes/data.json'; free some space and run the same command again")


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    calls = []
    replace = os.replace
    monkeypatch.setattr("torchseg.atomic_file.sync", lambda path: calls.append(("sync", path.name)))
    monkeypatch.setattr("pathlib.Path.replace", lambda old, new: calls.append(("named", new.name)) or replace(old, new))
    with partial_file(tmp_path / "net.onnx") as partial:
        partial.write_text("a")
    assert calls == [("sync", ".net.partial.onnx"), ("named", "net.onnx"), ("sync", tmp_path.name)]


IN_A_SMALL_DISK = """
mount -t tmpfs -o size=$1 none disk || exit 77
shift
"$@"
echo "ended with $?" >&2
mount -o remount,size=1g disk || exit 77
"$@" || exit 1
cp -r disk/run run
"""


def _can_mount():
    """Whether this system lets a test have a disk of its own."""
    if not sys.platform.startswith("linux") or not shutil.which("unshare"):
        return False
    command = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs none /mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not _can_mount(), reason="may not mount a disk")
def test_a_training_goes_on_once_a_full_disk_has_space_at_whatever_size_it_was_full(whole, given, tmp_path):
    expected, _ = whole("train")
    bytes_of_all = sum(path.stat().st_size for path in (given / "train").rglob("*") if path.is_file())
    count, outcomes = number_of(30, short=1), Counter()
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    for number in range(count):
        size = int(bytes_of_all * (number + 0.1) / count)
        home = tmp_path / str(number)
        (home / "disk").mkdir(parents=True)
        train_there = [sys.executable, "-c", PROGRAM, "train", *arguments("train", given), "--out", "disk/run"]
        done = subprocess.run(
            ["unshare", "-rm", "sh", "-c", IN_A_SMALL_DISK, "sh", str(size), *train_there],
            env={**os.environ, "PYTHONPATH": paths}, cwd=home, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{size} bytes: {done.stderr[-2000:]}"
        assert "Traceback" not in done.stderr, f"{size} bytes: {done.stderr[-2000:]}"
        assert "ended with 0" in done.stderr or "free some space and run the same command again" in done.stderr, size
        outcomes["full, then the same to the bit" if "ended with 2" in done.stderr else "had space"] += 1
        assert results(home / "run") == expected, f"{size} bytes"
    report("disk full while training", outcomes)
    assert outcomes["full, then the same to the bit"] > 0
