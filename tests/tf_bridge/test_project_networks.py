"""The project's own networks through both exporters: every way of upsampling, with and without batch norm."""

from pathlib import Path

import numpy as np
import pytest
from torch import nn

from tf_bridge.certify.parity import compare
from tf_bridge.certify.verdict import verdict
from tf_bridge.onnx.export import export_onnx
from tf_bridge.tflite.export import export_tflite
from torchseg.modelfile.precision import Precision
from torchseg.models import build_model
from torchseg.spec import ImageSpec

pytestmark = [pytest.mark.tflite, pytest.mark.slow]
pytest.importorskip("tensorflow")

SPEC = ImageSpec(height=32, width=48, classes=("background", "body", "rim"))
NETWORKS = {
    "attention": ("attention_unet", {"base_width": 4, "depth": 2, "dropout": 0.1}),
    "transposed": ("multi_unet", {"base_width": 4, "depth": 2, "batch_norm": False}),
    "student": ("small_unet", {"base_width": 4}),
    "multiscale": ("multiscale_unet", {"base_width": 4, "depth": 2}),
    "multiscale student": ("multiscale_student", {"base_width": 4, "depth": 2}),
    "xception": ("xception_unet", {"base_width": 4, "depth": 2}),
    "smp": ("smp:Unet:resnet18", {"encoder_depth": 3, "decoder_channels": [16, 8, 8]}),
}


def network_of(name: str) -> nn.Module:
    builder, arguments = NETWORKS[name]
    network = build_model(builder, arguments, SPEC)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -0.5, 0.5)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
    return network.eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_both_formats_pass_their_certificate(
    name: str, tmp_path: Path, torch_predict, onnx_predict, tflite_predict, operators_of
) -> None:
    network = network_of(name)
    images = np.random.default_rng(0).standard_normal((3, 3, 32, 48)).astype(np.float32)
    masks = np.random.default_rng(1).integers(0, 3, (3, 32, 48)).astype(np.uint8)
    export_onnx(network, SPEC, tmp_path / "net.onnx")
    export_tflite(network, SPEC, tmp_path / "net.tflite")
    for candidate in (onnx_predict(tmp_path / "net.onnx"), tflite_predict(tmp_path / "net.tflite")):
        parity = compare(torch_predict(network), candidate, images, masks, num_classes=3)
        assert verdict(parity, Precision.FP32) == []
    operators, left_over = operators_of(tmp_path / "net.tflite")
    assert left_over == []
    assert "TRANSPOSE" not in operators
