from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from torch import nn

from tf_bridge.tflite.export import export_tflite
from torchseg.modelfile.certificate import certificate_path
from torchseg.modelfile.model_file import ModelFile, describe_file
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
    with pytest.raises(ValueError, match=r"ends in none of \.onnx, \.tflite, \.keras; give"):
        describe_file(tmp_path / "net.pt")


def test_an_onnx_file_says_its_size(onnx_file):
    facts = ModelFile(onnx_file).image
    assert facts is not None
    assert (facts.channels, facts.height, facts.width) == (3, 16, 24)


def test_a_tflite_file_says_its_size(tflite_files):
    facts = ModelFile(tflite_files["fp32"]).image
    assert facts is not None
    assert (facts.channels, facts.height, facts.width) == (3, 16, 24)


@pytest.mark.parametrize("name", ["damaged.onnx", "damaged.tflite", "gone.onnx", "notes.txt"])
def test_what_cannot_be_read_says_nothing(name, tmp_path):
    if not name.startswith("gone"):
        (tmp_path / name).write_bytes(b"nothing of use")
    assert ModelFile(tmp_path / name).image is None


def test_an_exported_file_says_what_it_is(convolution_file):
    file = ModelFile(convolution_file)
    assert (file.kind, file.precision, file.layout) == ("onnx", "fp32", "NCHW")
    assert [(each.name, each.shape, each.dtype) for each in file.inputs] == [("image", (1, 3, 16, 24), "float32")]
    assert [each.name for each in file.outputs] == ["logits"]
    assert (file.spec, file.image_size, file.num_classes) == (SPEC, (16, 24), 3)
    assert file.size_bytes == convolution_file.stat().st_size
    assert file.sha256 == hashlib.sha256(convolution_file.read_bytes()).hexdigest()


def test_a_checkpoint_says_what_it_is(checkpoint):
    weights = checkpoint / "model.safetensors"
    for path in (checkpoint, weights):
        file = ModelFile(path)
        assert (file.kind, file.precision, file.layout, file.spec) == ("torch", "fp32", "NCHW", SPEC)
        assert (file.image_size, file.num_classes, file.certificate) == ((16, 24), 3, None)
        assert [each.shape for each in (*file.inputs, *file.outputs)] == [(None, 3, 16, 24), (None, 3, 16, 24)]
        assert file.sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()


def test_a_file_of_another_tool_has_no_spec_and_no_precision(onnx_file):
    file = ModelFile(onnx_file)
    assert (file.spec, file.precision, file.num_classes) == (None, "", None)


def test_a_file_for_any_size_has_a_spec_only_for_a_given_size(convolution_file, tmp_path):
    model = onnx.load(convolution_file)
    for side, name in zip(model.graph.input[0].type.tensor_type.shape.dim[2:], ("height", "width"), strict=True):
        side.dim_param = name
    onnx.save(model, tmp_path / "open.onnx")
    file = ModelFile(tmp_path / "open.onnx")
    assert file.inputs[0].shape == (1, 3, "height", "width")
    assert (file.image_size, file.spec) == (None, None)
    assert file.spec_for((16, 24)) == SPEC


def test_a_certificate_is_found_and_a_damaged_one_named(convolution_file, tmp_path, passed_certificate):
    path = tmp_path / "net.onnx"
    path.write_bytes(convolution_file.read_bytes())
    assert ModelFile(path).certificate is None
    certificate = passed_certificate(version=2, sha256="abc")
    ModelFile(path).certificate_path.write_text(json.dumps(certificate))
    assert ModelFile(path).certificate == certificate
    ModelFile(path).certificate_path.write_text("{")
    with pytest.raises(ValueError, match=r"net\.onnx\.json is damaged: .*; export net\.onnx again"):
        _ = ModelFile(path).certificate


def test_a_file_is_read_when_it_is_asked_and_only_once(convolution_file, monkeypatch):
    reads, load = [], onnx.load
    monkeypatch.setattr(onnx, "load", lambda path, **options: reads.append(path) or load(path, **options))
    file = ModelFile(convolution_file)
    assert reads == []
    file.check()
    _ = file.to_dict(), file.spec, file.image, file.precision, file.num_classes, file.size_bytes, file.parts
    assert reads == [convolution_file]


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "holds"),
        ({"sha256": "0" * 64}, "is that of another file"),
        ({"file": "net.onnx"}, "holds"),
        ({"file": "student.int8.onnx"}, "is that of another file"),
        ({"verdict": {"passed": False}}, "fails"),
        ({"verdict": {"passed": True, "accuracy": "too few to say: 3 images"}}, "few images"),
        ({"version": 99}, "cannot be read"),
    ],
)
def test_what_a_certificate_says_is_told_in_words(
    changes: dict, state: str, tmp_path: Path, passed_certificate: Callable[..., dict]
) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"weights")
    assert ModelFile(path).certificate_state == ""
    certificate = passed_certificate(**{"file": path.name, "sha256": ModelFile(path).sha256, **changes})
    certificate_path(path).write_text(json.dumps(certificate))
    assert ModelFile(path).certificate_state == state
