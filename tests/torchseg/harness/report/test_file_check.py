from __future__ import annotations

import json

import onnx
import pytest
from onnx import TensorProto, helper

from torchseg.harness.report.file_check import CHANGED, file_problems
from torchseg.harness.report.run_record import read_run
from torchseg.modelfile.model_file import ModelFile

NAME = "artifacts/student.fp32.onnx"


def _write_network(path, operator):
    value = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 4, 4])
    result = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3, 4, 4])
    graph = helper.make_graph([helper.make_node(operator, ["image"], ["logits"])], "net", [value], [result])
    onnx.save(helper.make_model(graph), path)


@pytest.fixture
def run(tmp_path, passed_certificate):
    """A run that scored a certified file."""
    path = tmp_path / NAME
    path.parent.mkdir()
    _write_network(path, "Relu")
    digest = ModelFile(path).sha256
    (tmp_path / f"{NAME}.json").write_text(json.dumps(passed_certificate(file=path.name, sha256=digest)))
    (tmp_path / "scores.csv").write_text(f"artifact,latency_ms_min,sha256\n{NAME},,{digest}\n{NAME},,{digest}\n")
    return tmp_path


def test_files_that_are_as_they_were_scored_are_not_mentioned(run):
    assert file_problems(read_run(run)) == {}


def test_a_changed_file_is_named_once(run):
    _write_network(run / NAME, "Sigmoid")
    assert file_problems(read_run(run)) == {NAME: CHANGED}


def test_the_certificate_of_another_file_is_named(run):
    certificate = json.loads((run / f"{NAME}.json").read_text()) | {"file": "clustered.fp32.onnx"}
    (run / f"{NAME}.json").write_text(json.dumps(certificate))
    assert file_problems(read_run(run)) == {NAME: "has a certificate that is that of another file; export it again"}


def test_a_deleted_file_is_named(run):
    (run / NAME).unlink()
    assert file_problems(read_run(run)) == {NAME: "is no longer there; its numbers are those of the last score"}


def test_tables_without_hashes_say_nothing(run):
    (run / "scores.csv").write_text(f"artifact,latency_ms_min\n{NAME},\n")
    assert file_problems(read_run(run)) == {}


def test_what_is_no_model_any_more_is_named(run):
    (run / NAME).write_bytes(b"words")
    assert file_problems(read_run(run))[NAME].startswith("cannot be read: ")
