"""What is neither a run nor a model file is refused with what it is and what to give."""

from __future__ import annotations

import pytest

from scripts import verify


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("gone/here", "there is no file gone/here; check the path"),
        ("note.txt/x", "there is no file note.txt/x; check the path"),
        (
            "note.txt",
            "note.txt is not a model file; give one that ends in .onnx, .tflite, .keras, or the folder of a run",
        ),
        ("empty", "empty is not a run: it has no config.yaml; give the folder of a run, or model files in it"),
        (".", ". is not a run: it has no config.yaml; give the folder of a run, or model files in it"),
        ("student", "student is a checkpoint, which has no certificate; give its run, or the files made from it"),
        (
            "student/model.safetensors",
            "student/model.safetensors is a checkpoint, which has no certificate; give its run, or the files",
        ),
        ("net.onnx", "net.onnx has no certificate (net.onnx.json); export net.onnx again, or, if another tool made it"),
    ],
)
def test_a_wrong_argument_is_one_message(given, said, tmp_path, refusal):
    (tmp_path / "empty").mkdir()
    (tmp_path / "student").mkdir()
    for name in ("note.txt", "net.onnx", "student/card.json", "student/model.safetensors"):
        (tmp_path / name).write_text("{}")
    assert verify.main([given]) == 2
    assert refusal().startswith(f"error: {said}")
