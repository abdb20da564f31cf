from __future__ import annotations

import numpy as np
import onnx
import pytest

from torchseg.checkpoint import Card, save_checkpoint
from torchseg.data import Sample
from torchseg.data.datasets.scenes import CLASSES, Scenes
from torchseg.modelfile.precision import Precision
from torchseg.models import build_model
from torchseg.pipeline.export.calibration import CALIBRATED_WITH, calibration_samples
from torchseg.pipeline.export.exporter import NetworkExport
from torchseg.pipeline.run.dataset import Pictures
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=8, width=8, classes=("a", "b", "c"))


def _samples(count, rare):
    """All pictures hold classes 0 and 1; the one at `rare` holds class 2 as well."""
    samples = []
    for index in range(count):
        mask = np.zeros((8, 8), np.uint8)
        mask[:4] = 1
        if index == rare:
            mask[0] = 2
        samples.append(Sample(name=str(index), picture=np.zeros((8, 8, 3), np.uint8), mask=mask))
    return samples


def test_a_rare_class_far_back_is_among_the_calibration_pictures():
    chosen = calibration_samples(_samples(200, rare=150), SPEC)
    assert len(chosen) == CALIBRATED_WITH + 1
    assert chosen[1].name == "150"  # behind the first, which brings all other classes: a few must do, too


def test_few_pictures_are_all_taken():
    assert len(calibration_samples(_samples(5, rare=0), SPEC)) == 5


@pytest.mark.slow
def test_branches_are_folded_into_the_file_and_the_certificate_compares_with_the_checkpoint(tmp_path):
    spec = ImageSpec(height=16, width=16, classes=CLASSES)
    arguments = {"base_width": 4, "depth": 1}
    network = build_model("multiscale_unet", arguments, spec).eval()
    card = Card(builder="multiscale_unet", arguments=arguments, spec=spec, stage="student")
    save_checkpoint(network, card, tmp_path / "student")
    part = Scenes("validation", height=16, width=16, length=4)
    pictures = Pictures(spec=spec, train=part, transfer=(), validation=part, test=part, upright=True, fingerprint="")
    file = tmp_path / "net.onnx"
    certificate = NetworkExport(tmp_path / "student", pictures).export(file, precision=Precision.FP32)
    assert certificate["verdict"]["passed"]
    kernels = {tuple(weight.dims[2:]) for weight in onnx.load(file).graph.initializer if len(weight.dims) == 4}
    assert kernels == {(3, 3), (2, 2), (1, 1)}
