from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from tf_bridge.onnx.export import export_onnx as export_with_metadata
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=16, width=24, classes=("background", "body", "rim"))


@pytest.fixture
def spec():
    return SPEC


@pytest.fixture
def images():
    return np.random.default_rng(0).standard_normal((4, 3, SPEC.height, SPEC.width)).astype(np.float32)


@pytest.fixture(scope="session")
def convolution_file(tmp_path_factory):
    """The smallest ONNX file of this project, for tests that read files and do not care what they compute."""
    path = tmp_path_factory.mktemp("files") / "net.fp32.onnx"
    export_with_metadata(nn.Conv2d(3, 3, 3, padding=1), SPEC, path)
    return path


@pytest.fixture(scope="session")
def onnx_file(tmp_path_factory, export_onnx):
    """The same as PyTorch writes it, without a word of ours."""
    return export_onnx(nn.Conv2d(3, 3, 3, padding=1), tmp_path_factory.mktemp("foreign") / "net.onnx")
