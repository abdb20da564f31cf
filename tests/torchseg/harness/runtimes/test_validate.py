from __future__ import annotations

import onnx
import pytest

from torchseg.harness.measure.size import files_of
from torchseg.harness.runtimes.validate import check_model_file

CONTENTS = {"empty": b"", "text": b"hello\n", "zip": b"PK\x03\x04" + bytes(200), "zeros": bytes(1000)}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
@pytest.mark.parametrize("suffix", ["onnx", "tflite", "safetensors", "txt"])
def test_what_is_no_model_is_refused(content, suffix, tmp_path):
    pytest.importorskip("ai_edge_litert")
    path = tmp_path / f"model.{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"is no|is empty"):
        check_model_file(path)


@pytest.mark.parametrize("percent", [10, 50, 90, 99])
def test_a_cut_file_is_refused(percent, onnx_file, tmp_path):
    path = tmp_path / "cut.onnx"
    path.write_bytes(onnx_file.read_bytes()[: onnx_file.stat().st_size * percent // 100])
    with pytest.raises(ValueError, match=r"cut\.onnx is not an ONNX file"):
        check_model_file(path)


@pytest.mark.tflite
@pytest.mark.slow
@pytest.mark.parametrize("percent", [10, 50, 90, 99])
def test_a_cut_tflite_file_is_refused(percent, tflite_files, tmp_path):
    check_model_file(tflite_files["fp32"])
    path = tmp_path / "cut.tflite"
    path.write_bytes(tflite_files["fp32"].read_bytes()[: tflite_files["fp32"].stat().st_size * percent // 100])
    with pytest.raises(ValueError, match=r"is not a complete TFLite file \(\d+ bytes\)"):
        check_model_file(path)


def test_good_files_pass(onnx_file, checkpoint):
    check_model_file(onnx_file)
    check_model_file(checkpoint)
    check_model_file(checkpoint / "model.safetensors")


def test_a_folder_and_the_wrong_ending_are_refused(onnx_file, tmp_path):
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(ValueError, match="is not a checkpoint"):
        check_model_file(tmp_path / "folder.onnx")
    (tmp_path / "model.tflite").write_bytes(onnx_file.read_bytes())
    pytest.importorskip("ai_edge_litert")
    with pytest.raises(ValueError, match="is not a complete TFLite file"):
        check_model_file(tmp_path / "model.tflite")


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/hostname"])
def test_a_file_that_reads_outside_its_folder_is_refused(location, onnx_file, tmp_path):
    (tmp_path / "secret.bin").write_bytes(bytes(100_000))
    with pytest.raises(ValueError, match="outside its own folder; export it again as one file"):
        check_model_file(with_external(onnx_file, tmp_path / "in" / "model.onnx", location))


def test_data_beside_the_file_are_fine(onnx_file, tmp_path):
    path = with_external(onnx_file, tmp_path / "in" / "model.onnx", "data.bin")
    (path.parent / "data.bin").write_bytes(bytes(100_000))
    check_model_file(path)
    assert files_of(path) == [path, path.parent / "data.bin"]


def with_external(source, path, location):
    """A copy whose first tensor claims to lie in another file."""
    model = onnx.load(source)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    path.parent.mkdir()
    path.write_bytes(model.SerializeToString())
    return path
