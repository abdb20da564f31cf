from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tf_bridge.onnx.export import OnnxShape, export_onnx
from torchseg.modelfile.model_file import describe_file
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

pytestmark = pytest.mark.slow


def test_the_file_computes_what_the_network_computes(
    tmp_path: Path, network: nn.Module, spec: ImageSpec, images, torch_predict, onnx_predict
) -> None:
    export_onnx(network, spec, tmp_path / "net.onnx", precision=Precision.INT8, calibration=images)
    expected = torch_predict(network)(images)
    assert np.abs(onnx_predict(tmp_path / "net.onnx")(images) - expected).max() <= 0.08 * np.ptp(expected)


def test_one_file_is_written_silently_and_without_paths_of_the_machine(
    tmp_path: Path, network: nn.Module, spec: ImageSpec, capfd: pytest.CaptureFixture[str]
) -> None:
    export_onnx(network, spec, tmp_path / "net.onnx")
    assert capfd.readouterr() == ("", "")
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]
    content = (tmp_path / "net.onnx").read_bytes()
    assert b".py" not in content
    assert str(Path(__file__).parent).encode() not in content


def test_any_number_of_images_runs_when_the_batch_is_open(
    tmp_path: Path, network: nn.Module, spec: ImageSpec, images, torch_predict, onnx_predict
) -> None:
    path = tmp_path / "net.onnx"
    export_onnx(network, spec, path, shape=OnnxShape.DYNAMIC_BATCH)
    assert describe_file(path)["inputs"][0]["shape"] == ["batch", 3, 16, 24]
    for count in (1, 3, 4):
        logits = onnx_predict(path)(images[:count])
        np.testing.assert_allclose(logits, torch_predict(network)(images[:count]), atol=1e-5)


def test_any_size_that_divides_runs_when_all_sides_are_open(
    tmp_path: Path, network: nn.Module, spec: ImageSpec, torch_predict, onnx_predict
) -> None:
    path = tmp_path / "net.onnx"
    export_onnx(network, spec, path, shape=OnnxShape.DYNAMIC)
    predict = onnx_predict(path)
    for count, height, width in ((1, 16, 24), (2, 8, 30), (3, 2, 2)):
        images = torch.randn(count, 3, height, width).numpy()
        np.testing.assert_allclose(predict(images), torch_predict(network)(images), atol=1e-5)


class Checked(nn.Module):
    """Looks at the sides of its images as plain numbers, as this project's networks do."""

    stride = 2

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if int(image.shape[2]) % 2 or int(image.shape[3]) % 2:
            raise ValueError(f"image is {image.shape[2]}x{image.shape[3]}")
        return self.conv(image)


def test_sides_may_be_open_although_the_network_checks_them(tmp_path: Path, spec, torch_predict, onnx_predict) -> None:
    network = Checked().eval()
    export_onnx(network, spec, tmp_path / "net.onnx", shape=OnnxShape.DYNAMIC)
    images = np.random.default_rng(0).normal(size=(2, 3, 30, 8)).astype(np.float32)
    np.testing.assert_allclose(onnx_predict(tmp_path / "net.onnx")(images), torch_predict(network)(images), atol=1e-5)


def test_a_network_of_fixed_size_says_why_its_sides_cannot_be_open(tmp_path: Path, spec: ImageSpec) -> None:
    class Fixed(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            assert int(image.shape[2]) == 16
            return image * 2

    with pytest.raises(ValueError, match=r"cannot be exported to ONNX .*export with shape 'static'"):
        export_onnx(Fixed(), spec, tmp_path / "net.onnx", shape=OnnxShape.DYNAMIC)
    assert list(tmp_path.iterdir()) == []
