from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tf_bridge.onnx.export import export_onnx
from torchseg.modelfile.precision import Precision


@pytest.mark.slow
@pytest.mark.parametrize(
    "layer",
    [nn.Conv2d(4, 3, 1), nn.Conv2d(4, 3, 3, padding=1, padding_mode="zeros"), nn.ConvTranspose2d(4, 3, 1)],
    ids=["1x1", "3x3", "transposed"],
)
def test_the_bias_of_a_channel_without_weights_is_not_rounded_to_steps_of_the_image(
    layer: nn.Module, tmp_path: Path, spec, images, torch_predict, onnx_predict
) -> None:
    stem = nn.Conv2d(3, 4, 1)
    with torch.no_grad():
        stem.weight.fill_(5)  # a coarse input for the layer, whose outputs are small
        layer.weight.mul_(1e-3)
        (layer.weight[:, 1] if isinstance(layer, nn.ConvTranspose2d) else layer.weight[1]).zero_()
        layer.bias.copy_(torch.tensor([0.0, 0.04, 0.0]))
    network, path = nn.Sequential(stem, layer).eval(), tmp_path / "net.onnx"
    export_onnx(network, spec, path, precision=Precision.INT8, calibration=images)
    expected, found = torch_predict(network)(images), onnx_predict(path)(images)
    assert np.abs(found - expected)[:, 1].max() < np.ptp(expected) / 255
