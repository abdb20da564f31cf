from pathlib import Path

import numpy as np
import pytest
from torch import nn

from tf_bridge.onnx.export import OnnxShape, export_onnx
from torchseg.spec import ImageSpec


@pytest.mark.slow
@pytest.mark.parametrize("shape", [OnnxShape.STATIC, OnnxShape.DYNAMIC])
def test_a_divisor_that_the_exporter_would_drop_is_kept(
    shape: OnnxShape, tmp_path: Path, spec: ImageSpec, images, torch_predict, onnx_predict
) -> None:
    network = nn.Sequential(nn.AvgPool2d(3, stride=1, padding=1, divisor_override=4))
    export_onnx(network, spec, tmp_path / "net.onnx", shape=shape)
    np.testing.assert_allclose(onnx_predict(tmp_path / "net.onnx")(images), torch_predict(network)(images), atol=1e-5)
