from __future__ import annotations

import logging

import onnx
import pytest

from tf_bridge.certify.certificate import write_certificate
from torchseg.checkpoint import WEIGHTS, Card, save_checkpoint, sha256_of
from torchseg.models import build_model
from torchseg.pipeline.run.folder import RunFolder, Stage
from torchseg.pipeline.stages.scoring import find_artifacts, not_asked_for
from torchseg.spec import ImageSpec


@pytest.fixture
def run(tmp_path, passed_certificate):
    """A checkpoint and a file with a certificate that passed."""
    (tmp_path / "artifacts").mkdir()
    _train(tmp_path, size=(8, 16))
    _certify(tmp_path, "student.int8.onnx", passed_certificate)
    return tmp_path


def _train(run, *, size, seed=0):
    spec = ImageSpec(height=size[0], width=size[1], classes=("a", "b"))
    arguments = {"base_width": 2, "depth": 1}
    card = Card(builder="small_unet", spec=spec, stage="student", arguments=arguments)
    save_checkpoint(build_model("small_unet", arguments, spec, seed=seed), card, run / "student")


def _certify(run, name, certificate):
    path = run / "artifacts" / name
    path.write_bytes(b"file")
    hashes = {"sha256": sha256_of(path), "checkpoint_sha256": sha256_of(run / "student" / WEIGHTS)}
    write_certificate(path, certificate(version=1, file=name, **hashes, preprocessing={"height": 8, "width": 16}))
    return path


def _found(run):
    return {each.path.name: each.certified for each in find_artifacts(run, ["student"]) if each.reference}


def test_a_file_is_certified_by_a_certificate_of_its_own(run):
    assert _found(run) == {"student.int8.onnx": True}
    (run / "artifacts/student.int8.onnx").write_bytes(b"another")
    (run / "artifacts/student.fp16.onnx").write_bytes(b"file")
    assert _found(run) == {"student.fp16.onnx": None, "student.int8.onnx": False}


@pytest.mark.parametrize("changes", [{"seed": 1}, {"size": (16, 16)}])
def test_files_of_another_training_are_left_out(run, caplog, changes):
    _train(run, **{"size": (8, 16), **changes})
    with caplog.at_level(logging.WARNING):
        assert _found(run) == {}
    assert "student.int8.onnx was made from an earlier student" in caplog.text


def test_files_that_no_export_named_are_left_out(run):
    for name in ("mine.onnx", "other.int8.onnx", "student.int8.onnx.partial", "student.fp32.failed.tflite"):
        (run / "artifacts" / name).write_bytes(b"file")
    assert _found(run) == {"student.int8.onnx": True}


def test_files_of_an_earlier_command_that_this_one_does_not_ask_for_are_left_out_and_named(
    tmp_path, passed_certificate, caplog
):
    folder = RunFolder(tmp_path / "run")
    (folder.path / "artifacts").mkdir()
    _train(folder.path, size=(8, 16))
    for name in ("student.fp32.onnx", "student.fp32.tflite", "student.int8.end_to_end.onnx"):
        _certify(folder.path, name, passed_certificate)
    for name in ("artifacts/student.fp32.onnx", "artifacts/student.fp32.tflite"):  # the third is of `export`
        folder.note(Stage(name=name, inputs={}, outputs=[name, f"{name}.json"], run=lambda work: None))
    with caplog.at_level(logging.WARNING):
        others = not_asked_for(folder, {"artifacts/student.fp32.onnx"})
    assert others == {"student.fp32.tflite"}
    assert (
        "not scored, because this command does not ask for them: student.fp32.tflite; `score` measures" in caplog.text
    )
    found = find_artifacts(folder.path, ["student"], without=others)
    assert [each.path.name for each in found if each.reference] == ["student.fp32.onnx", "student.int8.end_to_end.onnx"]


def test_nothing_is_said_where_every_file_is_asked_for(tmp_path, caplog):
    assert not_asked_for(RunFolder(tmp_path / "run"), set()) == set()
    assert caplog.text == ""


def test_a_damaged_certificate_is_named(run):
    (run / "artifacts/student.int8.onnx.json").write_text("{")
    with pytest.raises(ValueError, match=r"student\.int8\.onnx\.json is damaged: .*; export student\.int8\.onnx again"):
        _found(run)


def test_a_file_without_a_precision_in_its_name_has_that_of_its_metadata(run):
    model = onnx.helper.make_model(onnx.helper.make_graph([], "empty", [], []))
    onnx.helper.set_model_props(model, {"torchseg.precision": "fp32"})
    onnx.save(model, run / "artifacts/student.mine.onnx")
    (run / "artifacts/student.damaged.onnx").write_bytes(b"file")
    found = {each.path.name: each.precision for each in find_artifacts(run, ["student"])}
    assert found == {
        "student": "fp32",
        "student.damaged.onnx": "",
        "student.int8.onnx": "int8",
        "student.mine.onnx": "fp32",
    }
