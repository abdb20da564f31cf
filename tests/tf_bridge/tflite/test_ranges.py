from __future__ import annotations

from pathlib import Path
from typing import Any

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


def seeded(kind: type[nn.Module]) -> Any:
    """A network in eval mode, always with the same random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind().eval()


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
    network = seeded(SpatialAttention)
    export_tflite(network, spec, tmp_path / "net.tflite", precision=Precision.INT8, calibration=images)
    expected = torch_predict(network)(images)
    error = np.abs(tflite_predict(tmp_path / "net.tflite")(images) - expected).max() / np.ptp(expected)
    assert error < 0.02


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
    network = seeded(Residual)
    path = tmp_path / "net.tflite"
    export_tflite(network, spec, path, precision=Precision.INT8, calibration=images)
    with torch.no_grad():
        branch = network.branch(network.stem(torch.from_numpy(images)))
    assert open_layers(path).grids["branch/conv2d"].step == pytest.approx(float(np.ptp(branch.numpy())) / 255, rel=0.02)


def test_a_branch_that_vanishes_beside_the_sum_stays_in_xnnpack(
    tmp_path: Path, spec: ImageSpec, images, torch_predict, tflite_predict, operators_of
) -> None:
    network = seeded(Residual)
    nn.init.uniform_(network.branch.weight, -1e-6, 1e-6)
    export_tflite(network, spec, tmp_path / "net.tflite", precision=Precision.INT8, calibration=images)
    assert operators_of(tmp_path / "net.tflite")[1] == []
    expected = torch_predict(network)(images)
    error = np.abs(tflite_predict(tmp_path / "net.tflite")(images) - expected).max() / np.ptp(expected)
    assert error < 0.02


class PooledImage(nn.Module):
    """The stem of ENet and ERFNet: a strided convolution beside the largest pixels of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pool = nn.Conv2d(3, 5, 3, 2, 1), nn.MaxPool2d(3, 2, 1)
        self.head = nn.ConvTranspose2d(8, 3, 2, 2)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(torch.cat([4 * torch.relu(self.conv(image)), self.pool(image)], dim=1))


def test_pooling_an_image_cuts_off_none_of_its_values(tmp_path: Path, spec: ImageSpec, images) -> None:
    network = seeded(PooledImage)
    path = tmp_path / "net.tflite"
    export_tflite(network, spec, path, precision=Precision.INT8, calibration=images)
    grid = open_layers(path).grids["image"]
    assert grid.low <= images.min() + grid.step
    assert grid.high >= images.max() - grid.step


def test_what_only_a_maximum_reads_has_the_range_of_the_maximum(tmp_path: Path, spec: ImageSpec, images) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        conv = nn.Conv2d(3, 3, 1)
        network = nn.Sequential(conv, nn.MaxPool2d(5, 1, 2), nn.Conv2d(3, 3, 1)).eval()
    path = tmp_path / "net.tflite"
    export_tflite(network, spec, path, precision=Precision.INT8, calibration=images)
    with torch.no_grad():
        pooled = nn.functional.max_pool2d(conv(torch.from_numpy(images)), 5, 1, 2)
    span = max(float(pooled.max()), 0.0) - min(float(pooled.min()), 0.0)
    assert open_layers(path).grids["0/conv2d"].step == pytest.approx(span / 255, rel=0.02)
