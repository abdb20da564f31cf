from __future__ import annotations

import pytest

from torchseg.modelfile.file_facts import file_facts


def test_an_onnx_file_says_its_size(onnx_file):
    facts = file_facts(onnx_file)
    assert facts is not None
    assert (facts.channels, facts.height, facts.width) == (3, 16, 24)


def test_a_tflite_file_says_its_size(tflite_files):
    facts = file_facts(tflite_files["fp32"])
    assert facts is not None
    assert (facts.channels, facts.height, facts.width) == (3, 16, 24)


@pytest.mark.parametrize("name", ["damaged.onnx", "damaged.tflite", "gone.onnx", "notes.txt"])
def test_what_cannot_be_read_says_nothing(name, tmp_path):
    if not name.startswith("gone"):
        (tmp_path / name).write_bytes(b"nothing of use")
    assert file_facts(tmp_path / name) is None
