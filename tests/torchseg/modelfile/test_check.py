from __future__ import annotations

import onnx
import pytest

from torchseg.modelfile.model_file import ModelFile

CONTENTS = {"empty": b"", "text": b"hello\n", "zip": b"PK\x03\x04" + bytes(200), "zeros": bytes(1000)}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
@pytest.mark.parametrize("suffix", ["onnx", "tflite", "safetensors", "txt"])
def test_what_is_no_model_is_refused(content, suffix, tmp_path):
    pytest.importorskip("ai_edge_litert")
    path = tmp_path / f"model.{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"is no|is empty"):
        ModelFile(path).check()


@pytest.mark.parametrize("percent", [10, 50, 90, 99])
def test_a_cut_file_is_refused(percent, onnx_file, tmp_path):
    path = tmp_path / "cut.onnx"
    path.write_bytes(onnx_file.read_bytes()[: onnx_file.stat().st_size * percent // 100])
    with pytest.raises(ValueError, match=r"cut\.onnx is not an ONNX file"):
        ModelFile(path).check()


@pytest.mark.tflite
@pytest.mark.slow
@pytest.mark.parametrize("percent", [10, 50, 90, 99])
def test_a_cut_tflite_file_is_refused(percent, tflite_files, tmp_path):
    ModelFile(tflite_files["fp32"]).check()
    path = tmp_path / "cut.tflite"
    path.write_bytes(tflite_files["fp32"].read_bytes()[: tflite_files["fp32"].stat().st_size * percent // 100])
    with pytest.raises(ValueError, match=r"is not a complete TFLite file \(\d+ bytes\)"):
        ModelFile(path).check()


def test_good_files_pass(onnx_file, checkpoint):
    ModelFile(onnx_file).check()
    ModelFile(checkpoint).check()
    ModelFile(checkpoint / "model.safetensors").check()


def test_a_folder_and_the_wrong_ending_are_refused(onnx_file, tmp_path):
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(ValueError, match="is not a checkpoint"):
        ModelFile(tmp_path / "folder.onnx").check()
    (tmp_path / "model.tflite").write_bytes(onnx_file.read_bytes())
    pytest.importorskip("ai_edge_litert")
    with pytest.raises(ValueError, match="is not a complete TFLite file"):
        ModelFile(tmp_path / "model.tflite").check()


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/hostname"])
def test_a_file_that_reads_outside_its_folder_is_refused(location, onnx_file, tmp_path):
    (tmp_path / "secret.bin").write_bytes(bytes(100_000))
    with pytest.raises(ValueError, match="outside its own folder; export it again as one file"):
        ModelFile(with_external(onnx_file, tmp_path / "in" / "model.onnx", location)).check()


def test_data_beside_the_file_are_fine(onnx_file, tmp_path):
    path = with_external(onnx_file, tmp_path / "in" / "model.onnx", "data.bin")
    (path.parent / "data.bin").write_bytes(bytes(100_000))
    ModelFile(path).check()
    assert ModelFile(path).parts == (path, path.parent / "data.bin")


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


def test_a_folder_weighs_what_its_weights_weigh(checkpoint):
    assert ModelFile(checkpoint).size_bytes == (checkpoint / "model.safetensors").stat().st_size
    assert ModelFile(checkpoint).size_bytes == ModelFile(checkpoint / "model.safetensors").size_bytes


@pytest.fixture
def split(onnx_file, tmp_path):
    """The file with its weights in a second one beside it."""
    path = tmp_path / "split.onnx"
    onnx.save(onnx.load(onnx_file), path, save_as_external_data=True, location="split.onnx.data", size_threshold=0)
    return path


def test_external_data_counts(split, tmp_path):
    assert [part.name for part in ModelFile(split).parts] == ["split.onnx", "split.onnx.data"]
    assert ModelFile(split).size_bytes == sum(file.stat().st_size for file in tmp_path.iterdir())
    assert ModelFile(split).size_bytes > split.stat().st_size


def test_missing_external_data_is_named(split, tmp_path):
    (tmp_path / "split.onnx.data").unlink()
    with pytest.raises(ValueError, match=r"there is no file .*split\.onnx\.data"):
        _ = ModelFile(split).size_bytes


def test_a_missing_file_has_no_size(tmp_path):
    with pytest.raises(ValueError, match=r"there is no file .*gone\.tflite"):
        _ = ModelFile(tmp_path / "gone.tflite").size_bytes
