from __future__ import annotations

import csv
from pathlib import Path

import pytest

from torchseg.config import StudentsConfig
from torchseg.pipeline.commands.students import students
from torchseg.pipeline.run.folder import RunFolder

RUN = Path("runs/students")


def _rows():
    with (RUN / "students.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_command_leaves_a_table_a_figure_and_files_and_says_what_to_run_next(tiny_students, quick_students, capsys):
    config = StudentsConfig(size="16,24", classes=3, formats="onnx", threads=1)
    assert students(config) == 0
    out = capsys.readouterr().out
    assert "int8 files for 16x24 images and 3 classes, one thread of" in out
    assert [row["student"] for row in _rows()] == list(tiny_students)
    assert (RUN / "students.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((RUN / "files").iterdir())) == 3
    following = next(line for line in out.splitlines() if line.startswith("  next"))
    assert "distill --image_size 16,24 --formats onnx --student auto --max_latency_ms " in following
    fast = sum(float(row["latency_ms_min"]) <= float(following.split()[-1]) for row in _rows())
    assert fast >= 2

    assert students(config) == 0
    assert capsys.readouterr().out == out


def test_other_sizes_join_the_table_and_fresh_starts_over(quick_students, capsys):
    first = StudentsConfig(size="16", formats="onnx", threads=1)
    assert students(first) == 0
    assert students(StudentsConfig(size="24", formats="onnx", threads=1)) == 0
    assert {row["height"] for row in _rows()} == {"16", "24"}
    assert "16x16" not in capsys.readouterr().out.split("int8 files")[-1]
    assert students(StudentsConfig(size="16", formats="onnx", threads=1, fresh=True)) == 0
    assert {row["height"] for row in _rows()} == {"16"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"size": "x"}, "size is 'x'; give N or H,W in pixels, e.g. 128 or 96,128"),
        ({"classes": 1}, "classes is 1; give 2 to 255"),
        ({"formats": "onx"}, r"formats names 'onx' \(did you mean 'onnx'\?\)"),
    ],
)
def test_flags_are_checked(flags, message):
    with pytest.raises(ValueError, match=message):
        StudentsConfig(**flags)


def test_a_folder_in_use_is_refused(quick_students):
    with (
        RunFolder(Path("busy")).held(),
        pytest.raises(ValueError, match="another command is running in busy"),
    ):
        students(StudentsConfig(size="16", formats="onnx", out=Path("busy")))
