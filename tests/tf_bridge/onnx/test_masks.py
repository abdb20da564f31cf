from __future__ import annotations

import numpy as np
import onnx
import pytest

from tests.special_layers import SIZE, build_special
from tests.special_masks import MASKED_LAYERS
from tf_bridge.conversion import Conversion
from tf_bridge.onnx.masks import make_masks_finite, masks
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=SIZE[0], width=SIZE[1], classes=("a", "b", "c"))
IMAGES = np.random.default_rng(0).standard_normal((4, 3, *SIZE)).astype(np.float32)
LAYERS = [*MASKED_LAYERS, "criss-cross attention", "rotary and causal attention"]


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
def test_masks_leave_the_scores_their_steps_in_int8(name, tmp_path, torch_predict, onnx_predict):
    network, path = build_special(name), tmp_path / "net.onnx"
    Conversion(network, SPEC).write(path, precision=Precision.INT8, calibration=IMAGES)
    expected = np.concatenate([torch_predict(network)(image[None]) for image in IMAGES])
    logits = np.concatenate([onnx_predict(path)(image[None]) for image in IMAGES])
    assert np.abs(logits - expected).max() < 0.03 * np.ptp(expected)
    kinds = [node.op_type for node in onnx.load(path).graph.node]
    assert kinds.count("MatMul") + kinds.count("Gemm") >= 2
    assert kinds.count("DequantizeLinear") > 8  # the products are still computed in int8


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mask of -inf", "mask of the least number", "causal attention of PyTorch"])
@pytest.mark.parametrize("precision", [Precision.FP16, Precision.DYNAMIC])
def test_masks_beyond_float16_are_right_in_other_precisions(name, precision, tmp_path, torch_predict, onnx_predict):
    network, path = build_special(name), tmp_path / "net.onnx"
    Conversion(network, SPEC).write(path, precision=precision)
    expected = torch_predict(network)(IMAGES[:1])
    assert np.abs(onnx_predict(path)(IMAGES[:1]) - expected).max() < 0.03 * np.ptp(expected)


def _graph(reader: str) -> onnx.ModelProto:
    """Scores to which `mask` is added, and what reads the sum."""
    scores = onnx.helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, [4, 4])
    result = onnx.helper.make_tensor_value_info("result", onnx.TensorProto.FLOAT, [4, 4])
    mask = np.where(np.triu(np.ones((4, 4)), 1), -np.inf, 0).astype(np.float32)
    nodes = [
        onnx.helper.make_node("Add", ["scores", "mask"], ["sum"], name="add"),
        onnx.helper.make_node(reader, ["sum"], ["result"], name="reader"),
    ]
    graph = onnx.helper.make_graph(nodes, "net", [scores], [result], [onnx.numpy_helper.from_array(mask, "mask")])
    return onnx.helper.make_model(graph)


def test_infinities_of_a_mask_become_numbers_and_others_stay():
    for reader, infinite in (("Softmax", False), ("Abs", True)):
        model = make_masks_finite(_graph(reader))
        assert np.isinf(onnx.numpy_helper.to_array(model.graph.initializer[0])).any() == infinite
        assert masks(_graph(reader)) == (set() if infinite else {"mask"})
