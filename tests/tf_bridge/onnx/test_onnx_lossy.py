from pathlib import Path

import pytest
from torch import nn

from tf_bridge.onnx.export import export_onnx
from torchseg.spec import ImageSpec


@pytest.mark.slow
def test_a_divisor_that_onnx_would_drop_is_refused(tmp_path: Path, spec: ImageSpec) -> None:
    network = nn.Sequential(nn.AvgPool2d(3, stride=1, padding=1, divisor_override=4))
    with pytest.raises(ValueError, match=r"layer '0' is an average pooling with divisor_override=4.*leave it out"):
        export_onnx(network, spec, tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []
