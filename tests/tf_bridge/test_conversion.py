from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tf_bridge import conversion as module
from tf_bridge.conversion import Conversion
from tf_bridge.float_weights import SHARES
from tf_bridge.onnx.export import export_onnx
from tf_bridge.tflite.export import export_tflite
from torchseg.harness.runtimes.registry import open_runtime
from torchseg.modelfile.model_file import describe_file
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

pytestmark = [pytest.mark.slow, pytest.mark.tflite]
LAYERS = ["stem.0", "down.1", "gate", "head"]
KINDS = [".onnx", ".tflite"]


@pytest.fixture(scope="module")
def held() -> dict[str, Conversion]:
    """Filled by the first test: tracing takes most of the time."""
    return {}


@pytest.fixture
def conversion(held: dict[str, Conversion], network: nn.Module, spec: ImageSpec) -> Conversion:
    pytest.importorskip("tensorflow")
    return held.setdefault("one", Conversion(network, spec))


@pytest.mark.parametrize(("kind", "export"), [(".onnx", export_onnx), (".tflite", export_tflite)])
def test_the_files_are_those_of_a_single_export_byte_by_byte(
    kind: str, export, tmp_path: Path, conversion: Conversion, network: nn.Module, spec: ImageSpec, images
) -> None:
    for precision in Precision:  # what one precision leaves behind must not show in the next
        conversion.write(tmp_path / f"{precision}{kind}", precision=precision, calibration=images)
    export(network, spec, tmp_path / f"alone{kind}", precision=Precision.INT8, calibration=images)
    assert (tmp_path / f"int8{kind}").read_bytes() == (tmp_path / f"alone{kind}").read_bytes()


def test_the_network_is_traced_once_for_all_files(
    tmp_path: Path, spec: ImageSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorflow")
    traced = []
    export_program = module.export_program
    monkeypatch.setattr(module, "export_program", lambda *given: traced.append(given) or export_program(*given))
    both = Conversion(nn.Conv2d(3, 3, 1), spec)
    assert traced == []
    for name in ("fp32.onnx", "fp16.onnx", "fp32.tflite", "fp16.tflite"):
        both.write(tmp_path / name, precision=Precision(name.split(".")[0]))
    assert len(traced) == 1


def test_another_ending_is_refused(tmp_path: Path, conversion: Conversion) -> None:
    with pytest.raises(
        ValueError, match=r"net\.bin names no format; give a file that ends in \.onnx, \.tflite or \.keras"
    ):
        conversion.write(tmp_path / "net.bin")


@pytest.mark.parametrize("kind", KINDS)
def test_the_lightest_weights_stay_float32_as_far_as_an_fp16_file_needs_it(
    kind: str, tmp_path: Path, conversion: Conversion, network: nn.Module, images, torch_predict, request
) -> None:
    predict = request.getfixturevalue("onnx_predict" if kind == ".onnx" else "tflite_predict")
    expected = torch_predict(network)(images)
    errors: list[float] = []

    def holds_at(number: int) -> Callable[[Path], bool]:
        def holds(path: Path) -> bool:
            errors.append(np.abs(predict(path)(images) - expected).mean())
            return len(errors) == number

        return holds

    path = tmp_path / f"net{kind}"
    layers = conversion.write_fp16(path, holds_at(1 + len(SHARES)))
    assert set(layers) < set(LAYERS)
    assert errors[-1] < 0.8 * errors[0]
    assert open_runtime(path).describe().arithmetic == "float32 from float16"
    assert not open_runtime(path).describe().leftovers
    errors.clear()
    conversion.write(tmp_path / f"plain{kind}", precision=Precision.FP16)
    for number in (1, 99):  # holds at once, never holds
        assert conversion.write_fp16(path, holds_at(number)) == []
        assert path.read_bytes() == (tmp_path / f"plain{kind}").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_layers_are_called_alike_in_both_formats(kind: str, conversion: Conversion, images) -> None:
    assert list(conversion.mixed_precision(kind, images).layers) == LAYERS


@pytest.mark.parametrize("kind", KINDS)
def test_layers_in_float_bring_a_file_back_to_its_network(
    kind: str, tmp_path: Path, conversion: Conversion, network: nn.Module, images, torch_predict, request
) -> None:
    mixed = conversion.mixed_precision(kind, images)
    predictor = request.getfixturevalue("onnx_predict" if kind == ".onnx" else "tflite_predict")
    expected = torch_predict(network)(images)
    errors, sizes = [], []
    for number in range(len(LAYERS) + 1):
        path = tmp_path / f"{number}{kind}"
        mixed.write(path, float_layers=LAYERS[:number])
        errors.append(np.abs(predictor(path)(images) - expected).mean())
        sizes.append(path.stat().st_size)
    assert errors[0] > 1e-4
    assert errors[-1] < 1e-6
    assert errors[2] < errors[0]


def test_a_mixed_tflite_file_takes_and_gives_floats_and_stays_with_xnnpack(
    tmp_path: Path, conversion: Conversion, images, operators_of
) -> None:
    path = tmp_path / "net.int8.tflite"
    conversion.mixed_precision(".tflite", images).write(path, float_layers=["down.1"])
    described = describe_file(path)
    assert described["inputs"] == [{"name": "image", "shape": [1, 16, 24, 3], "type": "float32"}]
    assert described["outputs"] == [{"name": "logits", "shape": [1, 16, 24, 3], "type": "float32"}]
    operators, left_over = operators_of(path)
    assert left_over == []
    assert {"QUANTIZE", "DEQUANTIZE"} <= set(operators)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_proven_against_the_network_that_it_was_written_from(
    kind: str, tmp_path: Path, conversion: Conversion, spec: ImageSpec, images
) -> None:
    path, shown = tmp_path / f"net{kind}", [(image[None], image[None]) for image in images[:2]]
    conversion.write(path, precision=Precision.INT8, calibration=images)
    assert conversion.prove(path, shown, precision=Precision.INT8, calibration=images).failures == ()
    narrow = conversion.prove(path, shown, precision=Precision.INT8, calibration=0.1 * images)
    assert any("calibration gives" in failure for failure in narrow.failures)


class Normed(nn.Module):
    """A residual block whose batch norm has one factor, mean and shift for all channels, or for one of them."""

    def __init__(self, channels: slice, factor: float, mean: float, shift: float) -> None:
        super().__init__()
        self.stem, self.conv, self.head = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 3, padding=1), nn.Conv2d(6, 3, 1)
        self.norm = nn.BatchNorm2d(6)
        nn.init.zeros_(self.conv.bias)
        for tensor, value in ((self.norm.weight, factor), (self.norm.running_mean, mean), (self.norm.bias, shift)):
            tensor.data[channels] = value

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        features = self.stem(image)
        return self.head(torch.relu(self.norm(self.conv(features)) + features))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("channels", "factor", "mean", "shift"),
    [
        (slice(None), 2.0, 0.0, 0.0),
        (slice(None), 0.0, 0.3, 0.0),
        (slice(None), 0.0, 0.3, 0.2),
        (slice(2, 3), 0.0, 0.3, 0.2),
    ],
)
def test_a_batch_norm_that_shifts_or_scales_nothing_raises_no_false_alarm(
    kind: str, channels: slice, factor: float, mean: float, shift: float, tmp_path: Path, spec: ImageSpec, images
) -> None:
    pytest.importorskip("tensorflow")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        fresh = Conversion(Normed(channels, factor, mean, shift).eval(), spec)
    path = tmp_path / f"net{kind}"
    fresh.write(path, precision=Precision.INT8, calibration=images)
    assert fresh.prove(path, [(images[:1], images[:1])], precision=Precision.INT8, calibration=images).failures == ()


def test_ranges_are_measured_once_for_the_same_images(
    conversion: Conversion, images, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []
    monkeypatch.setattr(conversion.layers, "ranges", lambda given: measured.append(given) or {})
    fresh = np.random.default_rng(5).random(images.shape).astype(np.float32)
    assert conversion.ranges(fresh) is conversion.ranges(fresh.copy())
    assert len(measured) == 1
    conversion.ranges(fresh + 1)
    assert len(measured) == 2


def test_mixing_needs_calibration_images(conversion: Conversion) -> None:
    with pytest.raises(ValueError, match="int8 needs calibration images"):
        conversion.mixed_precision(".onnx", torch.empty(0, 3, 16, 24).numpy())


class Pooled(nn.Module):
    """What the quantizer treats in its own way: a padded pool, which becomes slices, and a transposed convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.deep = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False), nn.BatchNorm2d(6), nn.ReLU6())
        self.up = nn.ConvTranspose2d(6, 4, 2, stride=2)
        self.head = nn.Conv2d(10, 3, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        skip = torch.relu(self.stem(image))
        return self.head(torch.cat([skip, self.up(self.deep(self.pool(skip)))], dim=1))


def test_float_layers_leave_no_rounding_behind_in_tflite(
    tmp_path: Path, spec: ImageSpec, images, torch_predict, tflite_predict, operators_of
) -> None:
    pytest.importorskip("tensorflow")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Pooled().eval()
    mixed = Conversion(network, spec).mixed_precision(".tflite", images)
    assert list(mixed.layers) == ["stem", "deep.0", "up", "head"]
    mixed.write(tmp_path / "net.tflite", float_layers=mixed.layers)
    error = np.abs(tflite_predict(tmp_path / "net.tflite")(images) - torch_predict(network)(images)).max()
    assert error < 1e-3  # the transposed convolution keeps rounded weights
    assert not {"QUANTIZE", "DEQUANTIZE"} & set(operators_of(tmp_path / "net.tflite")[0])
    mixed.write(tmp_path / "net.tflite", float_layers=["stem"])
    assert {"QUANTIZE", "DEQUANTIZE"} <= set(operators_of(tmp_path / "net.tflite")[0])
