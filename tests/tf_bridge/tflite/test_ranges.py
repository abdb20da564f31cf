from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

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
