import errno
import os
from pathlib import Path

import pytest

from torchseg.atomic_file import move_over, partial_file, save_text


def test_a_complete_file_gets_its_name_and_leaves_nothing_else(tmp_path: Path) -> None:
    with partial_file(tmp_path / "folder" / "net.onnx") as partial:
        partial.write_text("whole")
        assert not (tmp_path / "folder" / "net.onnx").exists()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["net.onnx"]


def write_part(path: Path) -> None:
    with partial_file(path) as partial:
        partial.write_text("ha")
        raise RuntimeError("half-way")


def test_a_failure_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="half-way"):
        write_part(path)
    assert [(item.name, item.read_text()) for item in tmp_path.iterdir()] == [("net.onnx", "old")]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_file_can_be_read_by_others_whatever_its_writer_thought(tmp_path):
    def private(path: Path) -> None:
        path.write_text("x", encoding="utf-8")
        path.chmod(0o600)

    before = os.umask(0o022)
    try:
        with partial_file(tmp_path / "a.txt") as partial:
            private(partial)
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o644


@pytest.fixture
def cannot_rename_over(monkeypatch):
    """A file system that renames no file over another; gives the names that files were given."""
    names, rename = [], os.rename

    def refuses(old, new):
        if os.path.exists(new):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(new))
        names.append(os.path.basename(new))
        rename(old, new)

    monkeypatch.setattr("os.replace", refuses)
    monkeypatch.setattr("os.rename", refuses)
    return names


def test_a_file_is_replaced_where_none_can_be_renamed_over_another(tmp_path, cannot_rename_over):
    for text in ("old", "new", "newer"):
        save_text(tmp_path / "net.onnx", text)
    assert cannot_rename_over == ["net.onnx", *[".net.old.onnx", "net.onnx"] * 2]
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("net.onnx", "newer")]


def test_an_old_file_keeps_its_name_if_the_new_one_cannot_be_renamed(tmp_path, cannot_rename_over):
    (tmp_path / "net.onnx").write_text("old")
    with pytest.raises(FileNotFoundError):
        move_over(tmp_path / "gone", tmp_path / "net.onnx")
    with pytest.raises(FileExistsError):
        move_over(tmp_path / "net.onnx", tmp_path)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("net.onnx", "old")]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS])
@pytest.mark.parametrize("call", ["fsync", "chmod"])
def test_a_file_is_written_where_the_file_system_cannot_sync_or_has_no_rights(tmp_path, monkeypatch, call, number):
    def refuses(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(f"os.{call}", refuses)
    save_text(tmp_path / "net.onnx", "whole")
    assert (tmp_path / "net.onnx").read_text() == "whole"


def test_a_disk_that_fails_to_sync_is_an_error(tmp_path, monkeypatch):
    def fails(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("os.fsync", fails)
    with pytest.raises(OSError, match=r"Input/output error: '.*net\.onnx'"):
        save_text(tmp_path / "net.onnx", "whole")
    assert list(tmp_path.iterdir()) == []
