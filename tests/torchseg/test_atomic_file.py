from pathlib import Path

import pytest

from torchseg.atomic_file import partial_file


def test_a_complete_file_gets_its_name_and_leaves_nothing_else(tmp_path: Path) -> None:
    with partial_file(tmp_path / "folder" / "net.onnx") as partial:
        partial.write_text("whole")
        assert not (tmp_path / "folder" / "net.onnx").exists()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["net.onnx"]


def write_fp16(path: Path) -> None:
    with partial_file(path) as partial:
        partial.write_text("ha")
        raise RuntimeError("half-way")


def test_a_failure_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="half-way"):
        write_fp16(path)
    assert [(item.name, item.read_text()) for item in tmp_path.iterdir()] == [("net.onnx", "old")]
