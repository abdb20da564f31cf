from __future__ import annotations

import json

import pytest

from torchseg.modelfile.model_file import ModelFile
from torchseg.pipeline.manifest.manifest import MANIFEST
from torchseg.pipeline.manifest.source_check import model_problem
from torchseg.pipeline.run.folder import RunFolder

FILE = "artifacts/student.fp32.onnx"


@pytest.fixture
def certify(passed_certificate):
    """Writes the file's certificate, with the named fields in place of its own."""

    def write(run, **changes):
        hashes = {"sha256": ModelFile(run / FILE).sha256, "checkpoint_sha256": ModelFile(run / "student").sha256}
        certificate = passed_certificate(**{"file": "student.fp32.onnx", **hashes, **changes})
        (run / f"{FILE}.json").write_text(json.dumps(certificate))

    return write


@pytest.fixture
def run(tmp_path, certify):
    """A run with a checkpoint, and a file that was made from it."""
    folder = RunFolder(tmp_path / "run")
    path = folder.path
    with folder.held():
        (path / "config.yaml").write_text("seed: 0\n")
        (path / "student").mkdir()
        (path / "student/card.json").write_text("{}")
        (path / "student/model.safetensors").write_bytes(b"weights")
        (path / "artifacts").mkdir()
        (path / FILE).write_bytes(b"file")
        certify(path)
    return path


def test_a_file_of_a_run_as_it_was_written_has_no_problem(run):
    assert model_problem(ModelFile(run / FILE)) == ""
    assert model_problem(ModelFile(run / "student")) == ""


def test_another_checkpoint_than_the_one_it_was_made_from_is_noticed(run):
    with RunFolder(run).held():
        (run / "student/model.safetensors").write_bytes(b"trained again")
    said = model_problem(ModelFile(run / FILE))
    assert said == f"{run / 'student/model.safetensors'} is no longer the network that it was made from"
    assert model_problem(ModelFile(run / "student")) == ""


def test_a_checkpoint_that_no_command_wrote_is_noticed(run):
    (run / "student/model.safetensors").write_bytes(b"swapped")
    said = f"it has changed since the run wrote it (its SHA-256 is not that in {MANIFEST})"
    assert model_problem(ModelFile(run / "student")) == said


def test_a_certificate_that_speaks_against_the_file_comes_first(run, certify):
    certify(run, verdict={"passed": False})
    assert model_problem(ModelFile(run / FILE)) == "its certificate fails"
    certify(run, file="clustered.fp32.onnx")
    assert model_problem(ModelFile(run / FILE)) == "its certificate is that of another file"


def test_a_damaged_manifest_is_said(run):
    (run / MANIFEST).write_text("{")
    assert "manifest.json is damaged" in model_problem(ModelFile(run / FILE))


def test_a_file_outside_a_run_is_judged_by_its_certificate_alone(run, tmp_path):
    (tmp_path / "student.fp32.onnx").write_bytes((run / FILE).read_bytes())
    assert model_problem(ModelFile(tmp_path / "student.fp32.onnx")) == ""
