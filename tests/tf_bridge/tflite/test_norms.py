from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tf_bridge.conversion import Conversion
from torchseg.modelfile.precision import Precision
from torchseg.modelfile.weights import tflite_operators
from torchseg.spec import ImageSpec

pytestmark = [pytest.mark.tflite, pytest.mark.slow]
pytest.importorskip("tensorflow")


class Dense(nn.Module):
    """A batch norm behind a concatenation, as in DenseNet, which removes most of what it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 1)
        self.norm = nn.BatchNorm2d(8)
        self.last = nn.Conv2d(8, 3, 1)
        for layer in (self.first, self.second):
            nn.init.constant_(layer.bias, 6.0)
        nn.init.constant_(self.norm.running_mean, 6.0)
        nn.init.uniform_(self.norm.running_var, 0.2, 3.0)
        nn.init.uniform_(self.norm.weight, 0.1, 3.0)
        self.norm.weight.data[:2] = torch.tensor([0.0, -1.0])

    def forward(self, image: Tensor) -> Tensor:
        features = torch.relu(self.norm(torch.cat([self.first(image), self.second(image)], dim=1)))
        logits: Tensor = self.last(features)
        return logits


@pytest.fixture
def conversion(spec: ImageSpec) -> Conversion:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Conversion(Dense().eval(), spec)


def test_a_norm_that_no_convolution_takes_in_is_rounded_once_in_int8(conversion: Conversion, tmp_path: Path, images):
    path = tmp_path / "net.tflite"
    conversion.write(path, precision=Precision.INT8, calibration=images)
    shown = [(image[None], image[None]) for image in images]
    proof = conversion.prove(path, shown, precision=Precision.INT8, calibration=images)
    assert proof.failures == ()
    assert proof.numbers["arithmetic"]["steps"]["error"] < 0.4
    assert [each.kind for each in tflite_operators(path)].count("DEPTHWISE_CONV_2D") == 1


def test_such_a_norm_can_stay_in_float(conversion: Conversion, tmp_path: Path, images):
    path = tmp_path / "net.tflite"
    mixed = conversion.mixed_precision(".tflite", images)
    assert list(mixed.layers) == ["first", "second", "norm", "last"]
    mixed.write(path, float_layers=["norm"])
    shown = [(image[None], image[None]) for image in images]
    assert conversion.prove(path, shown, precision=Precision.INT8, calibration=images).failures == ()
