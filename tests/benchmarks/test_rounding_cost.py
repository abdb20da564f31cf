from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.special_layers import SIZE, build_special
from tf_bridge.conversion import Conversion
from torchseg.harness.runtimes.registry import open_runtime
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

pytestmark = pytest.mark.slow
SPEC = ImageSpec(height=SIZE[0], width=SIZE[1], classes=("a", "b", "c"))
IMAGES = np.random.default_rng(0).standard_normal((4, 3, *SIZE)).astype(np.float32)


def _plain() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        inner = [nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()) for _ in range(3)]
        return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), *inner, nn.Conv2d(8, 3, 1)).eval()


def test_rounding_in_pytorch_costs_what_it_costs_in_a_file(tmp_path: Path) -> None:
    from rounding_cost import times_rounding

    conversion, path = Conversion(_plain(), SPEC), tmp_path / "net.onnx"
    conversion.write(path, precision=Precision.INT8, calibration=IMAGES)
    logits = open_runtime(path).predict(IMAGES)
    assert 0.7 < times_rounding(path, conversion, logits, IMAGES, IMAGES) < 1.4
    assert times_rounding(path, conversion, logits[:, [1, 0, 2]], IMAGES, IMAGES) > 10


def test_classes_that_rounding_changes_are_told_from_other_classes(tmp_path: Path) -> None:
    from special_layers import _judged

    conversion, path = Conversion(build_special("argmax as one-hot"), SPEC), tmp_path / "net.onnx"
    conversion.write(path, precision=Precision.INT8, calibration=IMAGES)
    assert _judged(conversion, path, IMAGES, Precision.INT8)[0] == "rounded"
    Conversion(build_special("argmax as one-hot", seed=1), SPEC).write(
        path, precision=Precision.INT8, calibration=IMAGES
    )
    assert _judged(conversion, path, IMAGES, Precision.INT8)[0] == "wrong"
