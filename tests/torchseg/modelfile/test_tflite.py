from __future__ import annotations

import pytest

from torchseg.modelfile.tflite import TfliteModel, open_tflite

pytestmark = [pytest.mark.tflite, pytest.mark.slow]


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_a_file_that_is_not_changed_is_written_as_it_was(precision, tflite_files):
    content = tflite_files[precision].read_bytes()
    assert TfliteModel(content).content() == content


def test_operations_and_tensors_have_names_for_their_types(tflite_files):
    file = TfliteModel(tflite_files["int8"].read_bytes())
    assert "CONV_2D" in {file.kind(each) for each in file.graph.operators}
    assert file.type_of(file.graph.tensors[file.graph.inputs[0]]) == "int8"


def test_a_constant_has_data_and_the_input_has_none(tflite_files):
    file = TfliteModel(tflite_files["fp32"].read_bytes())
    assert file.data(file.graph.tensors[file.graph.inputs[0]]) is None
    convolution = next(each for each in file.graph.operators if file.kind(each) == "CONV_2D")
    assert file.data(file.graph.tensors[convolution.inputs[1]]) is not None


def test_metadata_are_changed_or_added(tflite_files):
    file = TfliteModel(tflite_files["fp32"].read_bytes())
    file.set_metadata({"mine.a": "one", "mine.b": "two"})
    file.set_metadata({"mine.a": "three"})
    assert TfliteModel(file.content()).metadata("mine.") == {"mine.a": "three", "mine.b": "two"}


def test_a_missing_header_is_named(tmp_path):
    (tmp_path / "net.tflite").write_bytes(b"\x1c\0\0\0TFL2" + bytes(100))
    with pytest.raises(ValueError, match=r"is not a complete TFLite file \(108 bytes\); export it again"):
        open_tflite(tmp_path / "net.tflite")
