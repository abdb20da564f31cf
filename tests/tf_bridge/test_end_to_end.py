"""Files that take pictures and give classes: the same answer as the plain file, at every precision, in both formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import nn

from tf_bridge.certify.first_difference import first_difference
from tf_bridge.certify.parity import compare
from tf_bridge.certify.verdict import verdict
from tf_bridge.conversion import Conversion
from tf_bridge.end_to_end import is_end_to_end, write_end_to_end
from tf_bridge.onnx.export import OnnxShape, export_onnx
from tf_bridge.tracing import export_program
from torchseg.modelfile.model_file import describe_file
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

pytestmark = [pytest.mark.tflite, pytest.mark.slow]
pytest.importorskip("tensorflow")

Pictures = NDArray[np.uint8]
FILES = [(kind, precision) for kind in ("onnx", "tflite") for precision in Precision]


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    return np.random.default_rng(0).integers(0, 256, (4, 16, 24, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def pairs() -> dict[Any, Any]:
    """Plain and baked files, made when they are first asked for, and what makes them."""
    return {}


@pytest.fixture
def pair(pairs, network: nn.Module, spec: ImageSpec, pictures: Pictures, tmp_path_factory) -> Callable:
    def make(kind: str, precision: Precision) -> tuple[Path, Path]:
        if (kind, precision) not in pairs:
            folder = tmp_path_factory.mktemp("pair")
            plain, baked = folder / f"net.{kind}", folder / f"net.baked.{kind}"
            conversion = pairs.setdefault("conversion", Conversion(network, spec))
            conversion.write(plain, precision=precision, calibration=spec.prepare(pictures))
            write_end_to_end(plain, baked, spec)
            pairs[kind, precision] = plain, baked
        return pairs[kind, precision]

    return make


def run(path: Path, picture: Pictures) -> Pictures:
    """Classes `(1, H, W)` of one picture `(1, H, W, C)`, as a user gets them."""
    if path.suffix == ".onnx":
        import onnxruntime

        (classes,) = onnxruntime.InferenceSession(path).run(None, {"image": picture})
        return classes
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


@pytest.mark.parametrize(("kind", "precision"), FILES)
def test_pictures_in_classes_out(kind, precision, pair, pictures, spec, onnx_predict, tflite_predict):
    plain, baked = pair(kind, precision)
    predict = (onnx_predict if kind == "onnx" else tflite_predict)(plain)
    expected = predict(spec.prepare(pictures)).argmax(axis=1)
    classes = np.concatenate([run(baked, picture[None]) for picture in pictures])
    assert classes.dtype == np.uint8
    assert len(np.unique(classes)) > 1
    # A class may turn where two logits are equal up to rounding: the scaling is one multiplication and one addition.
    assert (classes == expected).mean() >= (0.99 if precision is Precision.INT8 else 0.9999)


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_the_file_says_what_it_takes_and_gives(kind, pair):
    plain, baked = pair(kind, Precision.INT8)
    described = describe_file(baked)
    assert (is_end_to_end(plain), is_end_to_end(baked)) == (False, True)
    assert described["layout"] == described["metadata"]["torchseg.layout"] == "NHWC"
    assert described["metadata"]["torchseg.scale"].startswith("none")
    (image,), (classes,) = described["inputs"], described["outputs"]
    assert (image["name"], image["shape"], image["type"]) == ("image", [1, 16, 24, 3], "uint8")
    assert (classes["name"], classes["shape"], classes["type"]) == ("classes", [1, 16, 24], "uint8")


@pytest.mark.parametrize("precision", Precision)
def test_xnnpack_still_takes_all_but_the_two_ends(precision, pair, operators_of):
    operators, left_over = operators_of(pair("tflite", precision)[1])
    assert set(left_over) <= {"QUANTIZE", "CAST", "ARG_MAX"}
    assert precision is not Precision.INT8 or "DEQUANTIZE" not in operators


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_a_certificate_compares_classes_alone(kind, pair, pictures, spec, network, torch_predict):
    _, baked = pair(kind, Precision.FP32)

    def classes(batch: NDArray[np.float32]) -> Pictures:
        return np.concatenate([run(baked, each[None].astype(np.uint8)) for each in batch.transpose(0, 2, 3, 1)])

    images, masks = spec.prepare(pictures), np.zeros((4, 16, 24), np.uint8)
    raw = pictures.transpose(0, 3, 1, 2).astype(np.float32)
    parity = compare(torch_predict(network), classes, images, masks, num_classes=3, pictures=raw)
    assert (parity.max_abs_error, parity.argmax_agreement) == (None, 1.0)
    assert verdict(parity, Precision.FP32) == []
    parity = compare(torch_predict(network), classes, images, masks, num_classes=3, pictures=raw[:, ::-1])
    assert "argmax agreement" in verdict(parity, Precision.FP32)[0]


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_layers_keep_their_names(kind, pair, pictures, spec, network):
    _, baked = pair(kind, Precision.FP32)
    program = export_program(network, spec)
    image, picture = spec.prepare(pictures[:1]), pictures[:1].transpose(0, 3, 1, 2)
    found = first_difference(program, baked, image, precision=Precision.FP32, picture=picture)
    assert found is None
    swapped = picture[:, ::-1]
    found = first_difference(program, baked, image, precision=Precision.FP32, picture=swapped)
    assert "stem.0" in (found.layer, *found.also)


def test_a_file_of_any_size_can_be_baked(tmp_path: Path, network, spec, pictures, torch_predict):
    images = spec.prepare(pictures)
    export_onnx(
        network,
        spec,
        tmp_path / "net.onnx",
        precision=Precision.INT8,
        calibration=images,
        shape=OnnxShape.DYNAMIC,
    )
    assert describe_file(tmp_path / "net.onnx")["metadata"]["torchseg.multiple"] == "2"
    write_end_to_end(tmp_path / "net.onnx", tmp_path / "baked.onnx", spec)
    picture = np.random.default_rng(0).integers(0, 256, (2, 8, 30, 3), dtype=np.uint8)
    wide = ImageSpec(height=8, width=30, classes=spec.classes)
    expected = torch_predict(network)(wide.prepare(picture)).argmax(axis=1)
    assert (run(tmp_path / "baked.onnx", picture) == expected).mean() > 0.9


def test_baking_twice_is_refused(pair, spec, tmp_path: Path):
    _, baked = pair("onnx", Precision.FP32)
    with pytest.raises(ValueError, match="takes images already"):
        write_end_to_end(baked, tmp_path / "again.onnx", spec)
    with pytest.raises(ValueError, match="of another format"):
        write_end_to_end(baked, tmp_path / "again.tflite", spec)
