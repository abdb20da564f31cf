import os
from pathlib import Path

import pytest

from torchseg.atomic_file import partial_file


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
