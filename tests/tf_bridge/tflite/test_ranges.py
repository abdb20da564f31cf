from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tf_bridge.certify.file_layers import open_layers
from tf_bridge.tflite.export import export_tflite
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

pytestmark = [pytest.mark.tflite, pytest.mark.slow]
pytest.importorskip("tensorflow")


class SpatialAttention(nn.Module):
    """Features of both signs, multiplied by a gate that reads the mean and the maximum of their channels."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.gate, self.head = nn.Conv2d(3, 16, 1), nn.Conv2d(2, 1, 1), nn.Conv2d(16, 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        features = self.features(image)
        summary = [features.mean(1, keepdim=True), features.amax(1, keepdim=True)]
        return self.head(features * torch.sigmoid(self.gate(torch.cat(summary, dim=1))))


def test_tensors_that_share_a_grid_keep_all_their_values(
    tmp_path: Path, spec: ImageSpec, images, torch_predict, tflite_predict
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = SpatialAttention().eval()
    export_tflite(network, spec, tmp_path / "net.tflite", precision=Precision.INT8, calibration=images)
    expected = torch_predict(network)(images)
    error = np.abs(tflite_predict(tmp_path / "net.tflite")(images) - expected).max() / np.ptp(expected)
    assert error < 0.02


class Downsampler(nn.Module):
    """Convolution and padded maximum of an image, side by side; features without negative values."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.pool, self.head = nn.Conv2d(3, 5, 3, 2, 1), nn.MaxPool2d(3, 2, 1), nn.Conv2d(8, 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        joined = torch.cat([torch.relu(self.features(image)), self.pool(image)], dim=1)
        return nn.functional.interpolate(self.head(joined), scale_factor=2.0, mode="nearest")


def test_a_maximum_behind_moved_values_leaves_them_their_range(tmp_path: Path, spec: ImageSpec, images) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Downsampler().eval()
    path = tmp_path / "net.tflite"
    export_tflite(network, spec, path, precision=Precision.INT8, calibration=images)
    grid = open_layers(path).grids["image"]
    assert grid.low - grid.step <= images.min()
    assert images.max() <= grid.high + grid.step


class Residual(nn.Module):
    """A sum of large values and of a small branch, which nothing reads but the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.branch = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        nn.init.uniform_(self.branch.weight, -0.01, 0.01)
        nn.init.zeros_(self.branch.bias)

    def forward(self, image: Tensor) -> Tensor:
        features = self.stem(image)
        return features + self.branch(features)


def test_the_range_of_a_small_branch_is_not_that_of_the_sum(tmp_path: Path, spec: ImageSpec, images) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Residual().eval()
    path = tmp_path / "net.tflite"
    export_tflite(network, spec, path, precision=Precision.INT8, calibration=images)
    with torch.no_grad():
        branch = network.branch(network.stem(torch.from_numpy(images)))
    assert open_layers(path).grids["branch/conv2d"].step == pytest.approx(float(np.ptp(branch.numpy())) / 255, rel=0.02)


def test_a_branch_that_vanishes_beside_the_sum_stays_in_xnnpack(
    tmp_path: Path, spec: ImageSpec, images, torch_predict, tflite_predict, operators_of
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Residual().eval()
    nn.init.uniform_(network.branch.weight, -1e-6, 1e-6)
    export_tflite(network, spec, tmp_path / "net.tflite", precision=Precision.INT8, calibration=images)
    assert operators_of(tmp_path / "net.tflite")[1] == []
    expected = torch_predict(network)(images)
    error = np.abs(tflite_predict(tmp_path / "net.tflite")(images) - expected).max() / np.ptp(expected)
    assert error < 0.02
