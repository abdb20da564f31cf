from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.special_layers import Applied
from tf_bridge.conversion import Conversion
from tf_bridge.lowering.lower import UnsupportedOperatorError
from tf_bridge.tflite.convert import quantized_tflite
from tf_bridge.tflite.export import export_tflite
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

pytestmark = [pytest.mark.tflite, pytest.mark.slow]
pytest.importorskip("tensorflow")


class DeadLayers(nn.Module):
    """A ReLU that never fires behind a convolution, a product and a sum: as narrow gates of untrained networks have."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(3, 3, 1) for _ in range(3))
        self.silent = nn.Conv2d(3, 3, 1)
        nn.init.constant_(self.silent.bias, -100.0)

    def forward(self, image: Tensor) -> Tensor:
        dead = torch.relu(self.silent(image))
        positive = torch.relu(image)
        return (
            self.layers[0](dead)
            + self.layers[1](dead * image)
            + self.layers[2](torch.relu(-(positive + torch.relu(self.layers[0](image)))))
        )


def test_layers_that_are_always_zero_leave_a_file_that_runs(
    tmp_path: Path, spec: ImageSpec, images, torch_predict, tflite_predict
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = DeadLayers().eval()
    export_tflite(network, spec, tmp_path / "net.tflite", precision=Precision.INT8, calibration=images)
    logits = tflite_predict(tmp_path / "net.tflite")(images)
    expected = torch_predict(network)(images)
    np.testing.assert_allclose(logits, expected, atol=0.02)


def test_an_elu_of_any_slope_keeps_its_positive_half_in_int8(
    tmp_path: Path, spec: ImageSpec, images, torch_predict, tflite_predict
) -> None:
    network = nn.ELU(0.5)
    export_tflite(network, spec, tmp_path / "net.tflite", precision=Precision.INT8, calibration=images)
    logits = tflite_predict(tmp_path / "net.tflite")(images)
    assert np.abs(logits - torch_predict(network)(images)).max() < 0.1


INFINITIES = {
    "equal": lambda x: torch.where(x == float("inf"), 1.0, torch.where(x == float("-inf"), -1.0, 0.5)),
    "not equal": lambda x: torch.where(x != float("-inf"), 1.0, -1.0) + (x != float("inf")),
    "is infinite": lambda x: torch.where(x.isinf(), 1.0, 0.5),
    "is finite": lambda x: torch.where(x.isfinite(), 1.0, 0.5),
    "to numbers": lambda x: torch.nan_to_num(x, 0.0, 1.0, -1.0),
}


@pytest.mark.parametrize("name", INFINITIES)
@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_a_file_tells_infinities_from_numbers(
    kind: str, name: str, tmp_path: Path, spec: ImageSpec, images, torch_predict, tflite_predict, onnx_predict
) -> None:
    network = Applied(lambda x: INFINITIES[name](x / x.relu()))
    Conversion(network, spec).write(tmp_path / f"net.{kind}")
    logits = {"tflite": tflite_predict, "onnx": onnx_predict}[kind](tmp_path / f"net.{kind}")(images)
    np.testing.assert_allclose(logits, torch_predict(network)(images), atol=1e-5)


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_finite_values_are_finite_in_int8(
    kind: str, tmp_path: Path, spec: ImageSpec, images, torch_predict, tflite_predict, onnx_predict
) -> None:
    network = Applied(lambda x: x * (x * 3).isfinite())
    Conversion(network, spec).write(tmp_path / f"net.{kind}", precision=Precision.INT8, calibration=images)
    logits = {"tflite": tflite_predict, "onnx": onnx_predict}[kind](tmp_path / f"net.{kind}")(images)
    assert np.abs(logits - torch_predict(network)(images)).max() < 0.02 * np.ptp(images)


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_int8_refuses_values_that_are_not_finite(kind: str, tmp_path: Path, spec: ImageSpec, images) -> None:
    network = Applied(lambda x: x * (x / x.relu()))
    with pytest.raises(
        ValueError, match=r"layer '.*' \((DIV|Div)\) gives values that are not finite on the calibration"
    ):
        Conversion(network, spec).write(tmp_path / f"net.{kind}", precision=Precision.INT8, calibration=images)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("text", "reason"), [("", "it gives no reason"), ("scale\n is odd", "scale is odd")])
def test_what_the_quantizer_refuses_is_one_message(text: str, reason: str, monkeypatch) -> None:
    def refuse(*_: object, **options: object) -> bytes:
        raise RuntimeError(text)

    monkeypatch.setattr(importlib.import_module("tensorflow.lite.python.convert"), "mlir_quantize", refuse)
    with pytest.raises(UnsupportedOperatorError, match=rf"^TFLite's quantizer fails .*\({reason}\); export fp32, fp16"):
        quantized_tflite(b"", {})
