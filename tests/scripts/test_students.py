"""The command `students`, and a main job that chooses its student by what the command measures."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
import yaml

from scripts import distill, search
from scripts.students import main
from torchseg.harness.runtimes.process import RuntimeProcess

RUN = Path("runs/folder")


@pytest.fixture
def auto(flags, monkeypatch):
    """The smallest run up to its last network, whose student is chosen; 1.2 kB hold the narrow one alone."""
    monkeypatch.setattr("torchseg.pipeline.commands.distill.Chain._files", lambda chain: iter(()))
    return [*flags[:-2], "--student", "auto"]


def _table():
    with (RUN / "students.csv").open(newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def _chosen():
    (name,) = (name for name, row in _table().items() if row["chosen"] == "true")
    return name


@pytest.mark.slow
def test_a_student_is_measured_in_a_process_of_its_own(tiny_students, monkeypatch, capsys):
    for name in ("wide", "deep"):
        tiny_students.pop(name)
    monkeypatch.setattr("torchseg.pipeline.students.measure.RuntimeProcess", RuntimeProcess)
    flags = ["--size", "16", "--classes", "2", "--formats", "onnx", "--threads", "1", "--out", "here"]
    assert main(flags) == 0
    assert "narrow" in capsys.readouterr().out
    assert Path("here/files/narrow.16x16x2.int8.onnx").is_file()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--size", "0"], "size is '0'; give N or H,W in pixels, e.g. 128 or 96,128"),
        (["--classes", "300"], "classes is 300; give 2 to 255"),
        (["--formats", "tflit"], "did you mean 'tflite'?"),
        (["--size", "17", "--formats", "onnx"], "no student takes images of 17x17"),
    ],
)
def test_wrong_flags_end_in_two(flags, message, quick_students, refusal):
    assert main(flags) == 2
    assert message in refusal()


def test_a_missing_extra_is_named(monkeypatch, refusal):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    assert main([]) == 2
    message = refusal()
    assert "pip install 'torchseg-compress[tf]', or give --formats onnx" in message
    assert not Path("runs").exists()


def test_a_folder_of_other_files_is_left_alone(refusal):
    Path("mine").mkdir()
    Path("mine/letter.txt").write_text("dear")
    assert main(["--formats", "onnx", "--out", "mine"]) == 2
    assert "mine has files that no run of this project wrote" in refusal()


@pytest.mark.slow
def test_the_main_job_trains_the_largest_student_within_the_limits_and_keeps_it(auto, quick_students, capsys):
    limited = [*auto, "--max_size_kb", "1.2"]
    assert distill.main(limited) == 0
    out = capsys.readouterr().out
    assert "Student narrow (" in out
    assert "the most multiply-adds within 1.2 kB" in out
    assert set(_table()) == {"narrow", "wide", "deep"}
    assert _chosen() == "narrow"
    recorded = yaml.safe_load((RUN / "config.yaml").read_text())
    assert (recorded["student"], recorded["student_arguments"]) == ("small_unet", "base_width=2,depth=1")
    assert json.loads((RUN / "student/card.json").read_text())["arguments"] == {"base_width": 2, "depth": 1}

    assert distill.main(limited) == 0
    out = capsys.readouterr().out
    assert "Student narrow" not in out
    assert "Nothing to do" in out
    assert distill.main(["--config", str(RUN / "config.yaml"), "--out", str(RUN)]) == 0
    assert "Nothing to do" in capsys.readouterr().out

    assert distill.main([*auto, "--max_latency_ms", "2.5"]) == 0
    assert _chosen() == "wide"
    assert quick_students == [3]


@pytest.mark.slow
def test_limits_that_no_student_meets_end_in_two_and_leave_the_run_alone(auto, quick_students, capsys):
    assert distill.main([*auto, "--max_size_kb", "1.2"]) == 0
    before = (RUN / "config.yaml").read_text()
    capsys.readouterr()
    assert distill.main([*auto, "--max_size_kb", "0.1", "--max_latency_ms", "9", "--fresh"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: no student is within 9 ms and 0.1 kB as int8 .onnx for 32x32 images and 5 classes")
    assert "the smallest is narrow (" in error
    assert "raise --max_latency_ms or --max_size_kb" in error
    assert (RUN / "config.yaml").read_text() == before
    assert _chosen() == "narrow"


@pytest.mark.parametrize(
    ("command", "flags", "message"),
    [
        (
            distill,
            ["--max_size_kb", "5", "--student", "small_unet"],
            "max_size_kb is 5.0, but student is 'small_unet': drop it, or give --student",
        ),
        (distill, ["--student", "auto", "--max_latency_ms", "-1"], "max_latency_ms is -1.0; give a positive number"),
        (
            distill,
            ["--student", "auto", "--max_size_kb", "5", "--student_arguments", "depth=1"],
            "student_arguments is 'depth=1', but student and arguments are chosen by latency and size",
        ),
        (
            distill,
            ["--student", "auto", "--max_size_kb", "5", "--formats", "onnx", "--loss", "dic"],
            "did you mean 'dice'",
        ),
        (search, ["--student", "auto", "--max_size_kb", "5"], "student is auto, but trials vary one network: name it"),
    ],
)
def test_flags_that_do_not_fit_a_choice_end_in_two_before_anything_is_measured(command, flags, message, refusal):
    assert command.main(flags) == 2
    assert message in refusal()
    assert not Path("runs").exists()
