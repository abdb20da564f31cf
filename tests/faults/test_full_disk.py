"""A full disk is one message that names the file, and what is there stays whole."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from scripts import train
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
