"""Agreement on real photos, where a folder of them is at hand: set TORCHSEG_PICTURES to one."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tf_bridge.certify.parity import compare
from tf_bridge.certify.verdict import verdict
from tf_bridge.onnx.export import export_onnx
from tf_bridge.tflite.export import export_tflite
from torchseg.modelfile.precision import Precision
from torchseg.models import build_model
from torchseg.spec import ImageSpec

pytestmark = [pytest.mark.tflite, pytest.mark.slow]

SPEC = ImageSpec(height=96, width=96, classes=("pet", "background", "border"))


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    folder = os.environ.get("TORCHSEG_PICTURES")
    paths = sorted(Path(folder).glob("*.jpg"))[::100][:12] if folder else []
    if not paths:
        pytest.skip("no photos: set TORCHSEG_PICTURES to a folder of .jpg files, e.g. oxford-iiit-pet/images")
    pictures = []
    for path in paths:
        with Image.open(path) as picture:
            pictures.append(np.asarray(picture.convert("RGB").resize((96, 96), Image.Resampling.BILINEAR)))
    return SPEC.prepare(np.stack(pictures))


def test_fp32_files_agree_with_the_network_on_photos(
    photos: np.ndarray, tmp_path: Path, torch_predict, onnx_predict, tflite_predict
) -> None:
    pytest.importorskip("tensorflow")
    network = build_model("attention_unet", {"base_width": 8}, SPEC)
    with torch.no_grad():
        for _ in range(20):
            network.train()(torch.from_numpy(photos))  # batch-norm statistics of photos
    network.eval()
    masks = torch_predict(network)(photos).argmax(axis=1).astype(np.uint8)
    export_onnx(network, SPEC, tmp_path / "net.onnx")
    export_tflite(network, SPEC, tmp_path / "net.tflite")
    for candidate in (onnx_predict(tmp_path / "net.onnx"), tflite_predict(tmp_path / "net.tflite")):
        parity = compare(torch_predict(network), candidate, photos, masks, num_classes=3)
        assert verdict(parity, Precision.FP32) == []
