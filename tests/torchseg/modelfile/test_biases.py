"""Where a model file keeps what it adds to its products."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from torchseg.modelfile.weights import onnx_weights

BIAS = np.array([0.5, -1.0], np.float32)


def save(path, nodes, constants):
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 2, 4, 4])
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, None)
    tensors = [numpy_helper.from_array(np.asarray(values), name) for name, values in constants.items()]
    onnx.save(helper.make_model(helper.make_graph(nodes, "net", [image], [result], tensors)), path)
    (weight,) = onnx_weights(path)
    return weight.bias


def node(kind, inputs, output, **attributes):
    return helper.make_node(kind, inputs.split(), [output], **attributes)


WEIGHT = {"weight": np.ones((2, 2, 1, 1), np.float32)}
QUANTIZED = {
    "weight": np.ones((2, 2, 1, 1), np.int8),
    "weight_scale": np.float32([0.1, 0.2]),
    "image_scale": np.float32(0.5),
    "bias": np.int32([10, -10]),
    "bias_scale": np.float32([0.05, 0.1]),
    "bias_zero": np.int32([0, 1]),
}


def test_an_input_of_a_convolution_is_its_bias(tmp_path):
    bias = save(tmp_path / "net.onnx", [node("Conv", "image weight bias", "result")], WEIGHT | {"bias": BIAS})
    assert (bias.values.tolist(), bias.dtype) == ([0.5, -1.0], "float32")
    assert bias.scale.size == bias.product.size == 0


def test_a_bias_in_half_precision_is_read_behind_its_cast(tmp_path):
    nodes = [node("Cast", "half", "bias", to=TensorProto.FLOAT), node("Conv", "image weight bias", "result")]
    bias = save(tmp_path / "net.onnx", nodes, WEIGHT | {"half": BIAS.astype(np.float16)})
    assert (bias.values.tolist(), bias.dtype) == ([0.5, -1.0], "float16")


def test_integers_are_read_with_their_scale_and_that_of_input_times_weights(tmp_path):
    nodes = [
        node("QuantizeLinear", "image image_scale", "codes"),
        node("DequantizeLinear", "codes image_scale", "input"),
        node("DequantizeLinear", "weight weight_scale", "kernel", axis=0),
        node("DequantizeLinear", "bias bias_scale bias_zero", "added", axis=0),
        node("Conv", "input kernel added", "result"),
    ]
    bias = save(tmp_path / "net.onnx", nodes, QUANTIZED)
    assert (bias.codes.tolist(), bias.dtype) == ([10, -11], "int32")
    assert bias.scale == pytest.approx([0.05, 0.1])
    assert bias.product == pytest.approx([0.05, 0.1])


@pytest.mark.parametrize("between", ["", "Cast", "Relu"])
def test_an_addition_that_alone_reads_a_product_holds_its_bias(between: str, tmp_path):
    nodes = [node("Conv", "image weight", "product"), node("Add", "product summand", "result")]
    if between:
        attributes = {"to": TensorProto.FLOAT} if between == "Cast" else {}
        nodes.insert(1, node(between, "product", "between", **attributes))
        nodes[2].input[0] = "between"
    bias = save(tmp_path / "net.onnx", nodes, WEIGHT | {"summand": BIAS.reshape(1, 2, 1, 1)})
    assert bias.codes.tolist() == ([] if between == "Relu" else [0.5, -1.0])


def test_an_addition_of_another_branch_is_no_bias(tmp_path):
    nodes = [node("Conv", "image weight", "product"), node("Add", "product image", "result")]
    assert save(tmp_path / "net.onnx", nodes, WEIGHT).codes.size == 0
