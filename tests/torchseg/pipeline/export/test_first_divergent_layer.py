from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from tf_bridge.onnx.export import export_onnx
from tf_bridge.tracing import export_program
from torchseg.modelfile.precision import Precision
from torchseg.models import build_model
from torchseg.pipeline.export.first_divergent_layer import first_divergent_layer
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=16, width=24, classes=("sky", "road", "car"))
IMAGE = np.random.default_rng(0).standard_normal((1, 3, 16, 24)).astype(np.float32)


@pytest.fixture
def network():
    return build_model("small_unet", {"base_width": 2, "depth": 1}, SPEC).eval()


@pytest.mark.slow
def test_the_layer_whose_weights_are_not_the_networks_is_blamed(network, tmp_path):
    program = export_program(network, SPEC)
    with torch.no_grad():
        network.up[0].project.weight[0] += 1
    export_onnx(network, SPEC, tmp_path / "net.onnx")
    found = first_divergent_layer(tmp_path / "net.onnx", program, IMAGE, precision=Precision.FP32)
    assert found.layer == "up.0.project"
    assert found.error > found.tolerance


@pytest.mark.slow
def test_a_file_whose_layers_have_no_names_is_told_in_the_log(network, tmp_path, caplog):
    path = tmp_path / "net.onnx"
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, IMAGE.shape) for name in ("image", "out")]
    node = onnx.helper.make_node("Identity", ["image"], ["out"])
    graph = onnx.helper.make_graph([node], "net", ends[:1], ends[1:])
    onnx.save(onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 18)]), path)
    assert first_divergent_layer(path, export_program(network, SPEC), IMAGE, precision=Precision.FP32) is None
    assert "which layer of net.onnx differs first is not known" in caplog.text
