from __future__ import annotations

import numpy as np
import pytest

from tests.special_layers import SIZE, build_special
from tf_bridge.conversion import Conversion
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

pytestmark = pytest.mark.slow
SPEC = ImageSpec(height=SIZE[0], width=SIZE[1], classes=("a", "b", "c"))


@pytest.mark.parametrize("name", ["double attention", "expectation-maximisation attention"])
def test_attention_over_many_pixels_and_to_constants_is_right_in_int8(name, tmp_path, torch_predict, onnx_predict):
    images = np.random.default_rng(0).standard_normal((4, 3, *SIZE)).astype(np.float32)
    network, path = build_special(name), tmp_path / "net.onnx"
    Conversion(network, SPEC).write(path, precision=Precision.INT8, calibration=images)
    expected = np.concatenate([torch_predict(network)(image[None]) for image in images])
    logits = np.concatenate([onnx_predict(path)(image[None]) for image in images])
    assert np.abs(logits - expected).max() < 0.05 * np.ptp(expected)
