from pathlib import Path

import numpy as np
import pytest
from torch import nn

from tf_bridge.tflite.export import export_tflite
from torchseg.modelfile.model_file import describe_file
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

pytestmark = [pytest.mark.tflite, pytest.mark.slow]
pytest.importorskip("tensorflow")

# Largest logit error allowed, as a share of the logits' range, for a network with random weights.
ERRORS = {Precision.FP32: 1e-5, Precision.FP16: 5e-3, Precision.DYNAMIC: 0.05, Precision.INT8: 0.08}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tflite")


def exported(folder: Path, network: nn.Module, spec: ImageSpec, precision: Precision, images) -> Path:
    path = folder / f"net.{precision}.tflite"
    if not path.exists():
        export_tflite(network, spec, path, precision=precision, calibration=images)
    return path


@pytest.mark.parametrize("precision", Precision)
def test_the_file_computes_what_the_network_computes(
    precision: Precision, folder: Path, network: nn.Module, spec: ImageSpec, images, torch_predict, tflite_predict
) -> None:
    logits = tflite_predict(exported(folder, network, spec, precision, images))(images)
    expected = torch_predict(network)(images)
    assert np.abs(logits - expected).max() <= ERRORS[precision] * np.ptp(expected)


@pytest.mark.parametrize("precision", Precision)
def test_xnnpack_takes_the_whole_graph_without_a_change_of_layout(
    precision: Precision, folder: Path, network: nn.Module, spec: ImageSpec, images, operators_of
) -> None:
    operators, left_over = operators_of(exported(folder, network, spec, precision, images))
    assert left_over == []
    assert "TRANSPOSE" not in operators


def test_batch_norm_is_folded(folder: Path, network: nn.Module, spec: ImageSpec, images, operators_of) -> None:
    operators, _ = operators_of(exported(folder, network, spec, Precision.FP32, images))
    assert operators.count("CONV_2D") == 4
    assert operators.count("MUL") == 1  # the gate


def test_input_and_output_are_named_and_laid_out_for_pictures(
    folder: Path, network: nn.Module, spec: ImageSpec, images
) -> None:
    described = describe_file(exported(folder, network, spec, Precision.FP32, images))
    assert described["inputs"] == [{"name": "image", "shape": [1, 16, 24, 3], "type": "float32"}]
    assert described["outputs"] == [{"name": "logits", "shape": [1, 16, 24, 3], "type": "float32"}]


@pytest.mark.parametrize("precision", Precision)
def test_the_signature_names_input_and_output(
    precision: Precision, folder: Path, network: nn.Module, spec: ImageSpec, images
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(exported(folder, network, spec, precision, images)))
    assert interpreter.get_signature_list() == {"serving_default": {"inputs": ["image"], "outputs": ["logits"]}}
    runner = interpreter.get_signature_runner()
    assert runner.get_input_details()["image"]["index"] == interpreter.get_input_details()[0]["index"]
    assert runner.get_output_details()["logits"]["index"] == interpreter.get_output_details()[0]["index"]


def test_an_int8_file_takes_and_gives_integers(folder: Path, network: nn.Module, spec: ImageSpec, images) -> None:
    described = describe_file(exported(folder, network, spec, Precision.INT8, images))
    assert described["inputs"][0]["type"] == described["outputs"][0]["type"] == "int8"


def test_the_same_network_gives_the_same_bytes(tmp_path: Path, network: nn.Module, spec: ImageSpec) -> None:
    for name in ("one", "two"):
        export_tflite(network, spec, tmp_path / f"{name}.tflite")
    assert (tmp_path / "one.tflite").read_bytes() == (tmp_path / "two.tflite").read_bytes()


def test_int8_without_calibration_images_is_refused_before_any_work(tmp_path: Path, network, spec: ImageSpec) -> None:
    with pytest.raises(ValueError, match="int8 needs calibration images"):
        export_tflite(network, spec, tmp_path / "net.tflite", precision=Precision.INT8)
    assert list(tmp_path.iterdir()) == []


def test_exporting_says_nothing(tmp_path: Path, spec: ImageSpec, capfd: pytest.CaptureFixture[str]) -> None:
    export_tflite(nn.Conv2d(3, 3, 1), spec, tmp_path / "net.tflite")
    assert capfd.readouterr() == ("", "")
