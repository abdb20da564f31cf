from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from tf_bridge.onnx.export import export_onnx as export_with_metadata
from torchseg.checkpoint import Card, save_checkpoint
from torchseg.models import build_model
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


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A checkpoint's folder; its network is not trained."""
    folder = tmp_path_factory.mktemp("run") / "student"
    card = Card(builder="small_unet", spec=SPEC, stage="student", arguments={"base_width": 2, "depth": 1})
    save_checkpoint(build_model(card.builder, card.arguments, SPEC, seed=0), card, folder)
    return folder
