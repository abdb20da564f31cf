"""U-Nets of segmentation_models_pytorch in miniature: depthwise convolutions, squeeze and excitation, linear residuals.

benchmarks/export_matrix.py does the same with the whole networks, on photos.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tf_bridge.certify.parity import compare
from tf_bridge.certify.verdict import verdict
from tf_bridge.conversion import Conversion
from torchseg.data.datasets.scenes import CLASSES, draw_scene
from torchseg.modelfile.precision import Precision
from torchseg.models import build_model
from torchseg.spec import ImageSpec

pytestmark = [
    pytest.mark.tflite,
    pytest.mark.slow,
    # What the library says of its own encoders.
    pytest.mark.filterwarnings("ignore:.*encoders are deprecated:DeprecationWarning"),
]
pytest.importorskip("tensorflow")

SMALL = {"encoder_depth": 3, "decoder_channels": [16, 12, 8]}
SCSE = SMALL | {"decoder_attention_type": "scse", "decoder_channels": [32, 24, 16]}  # a sixteenth of each must remain
NETWORKS = {
    "smp:Unet:resnet18": ((96, 96), SMALL, [Precision.FP32, Precision.INT8]),
    "smp:Unet:mobilenet_v2": ((32, 48), SCSE, list(Precision)),
    "smp:Unet:timm-tf_efficientnet_lite0": ((40, 24), SMALL, [Precision.FP32, Precision.INT8]),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_file_passes_its_certificate(name: str, tmp_path: Path, torch_predict, onnx_predict, tflite_predict):
    (height, width), arguments, precisions = NETWORKS[name]
    spec = ImageSpec(height=height, width=width, classes=CLASSES)
    drawn = [draw_scene(height, width, np.random.default_rng(seed)) for seed in range(12)]
    images, masks = spec.prepare(np.stack([picture for picture, _ in drawn])), np.stack([mask for _, mask in drawn])
    network = build_model(name, arguments, spec).train()
    with torch.no_grad():
        for _ in range(20):
            network(torch.from_numpy(images))  # batch-norm statistics of pictures
    conversion = Conversion(network.eval(), spec)
    for precision in precisions:
        for kind, predict in (("onnx", onnx_predict), ("tflite", tflite_predict)):
            path = tmp_path / f"net.{precision}.{kind}"
            conversion.write(path, precision=precision, calibration=images)
            parity = compare(torch_predict(network), predict(path), images, masks, num_classes=len(CLASSES))
            assert verdict(parity, precision) == [], path.name
            # A random network loses no accuracy that it never had, so the logits must hold as well.
            assert parity.mean_abs_error <= 0.05 * parity.logit_range, path.name
