from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from torch import nn

from tf_bridge.tflite.export import export_tflite
from torchseg.modelfile.describe import describe_file, file_facts
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=16, width=24, classes=("background", "body", "rim"))


@pytest.fixture(scope="module")
def tflite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("tensorflow")
    path = tmp_path_factory.mktemp("interface") / "net.tflite"
    export_tflite(nn.Conv2d(3, 3, 3, padding=1), SPEC, path)
    return path


def test_an_convolution_file_is_described(convolution_file: Path) -> None:
    described = describe_file(convolution_file)
    assert described["format"] == "onnx"
    assert described["inputs"] == [{"name": "image", "shape": [1, 3, 16, 24], "type": "float32"}]
    assert described["outputs"] == [{"name": "logits", "shape": [1, 3, 16, 24], "type": "float32"}]
    assert described["metadata"]["torchseg.layout"] == described["layout"] == "NCHW"


@pytest.mark.tflite
def test_a_tflite_file_is_described(tflite_file: Path) -> None:
    described = describe_file(tflite_file)
    assert described["format"] == "tflite"
    assert described["inputs"] == [{"name": "image", "shape": [1, 16, 24, 3], "type": "float32"}]
    assert described["outputs"] == [{"name": "logits", "shape": [1, 16, 24, 3], "type": "float32"}]
    assert described["metadata"]["torchseg.layout"] == described["layout"] == "NHWC"


@pytest.mark.tflite
def test_an_integer_input_comes_with_its_scale(tmp_path: Path, images) -> None:
    pytest.importorskip("tensorflow")
    path = tmp_path / "net.tflite"
    export_tflite(nn.Conv2d(3, 3, 1), SPEC, path, precision=Precision.INT8, calibration=images)
    source = describe_file(path)["inputs"][0]
    assert source["type"] == "int8"
    assert source["scale"] == pytest.approx((images.max() - images.min()) / 255, rel=0.01)


@pytest.mark.parametrize("content", [b"", b"some text", b"PK\x03\x04 a zip", b"\x00" * 100, b"xxxxTFL3" + b"\xff" * 50])
@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes, suffix: str) -> None:
    pytest.importorskip("ai_edge_litert")
    path = tmp_path / f"net{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"is not a complete \w+ file \({len(content)} bytes\); export it again"):
        describe_file(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_cut_convolution_file_is_refused(convolution_file: Path, tmp_path: Path, share: float) -> None:
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(convolution_file.read_bytes()[: int(convolution_file.stat().st_size * share)])
    with pytest.raises(ValueError, match="is not a complete ONNX file"):
        describe_file(cut)


@pytest.mark.tflite
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_cut_tflite_file_is_refused(tflite_file: Path, tmp_path: Path, share: float) -> None:
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(tflite_file.read_bytes()[: int(tflite_file.stat().st_size * share)])
    with pytest.raises(ValueError, match="is not a complete TFLite file"):
        describe_file(cut)


def test_weights_in_another_file_are_refused(convolution_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    model = onnx.load(convolution_file)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../elsewhere")
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match="keeps weights in another file; export it again as one file"):
        describe_file(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no file"):
        describe_file(tmp_path / "net.onnx")


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is not an \.onnx or \.tflite file"):
        describe_file(tmp_path / "net.pt")


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
