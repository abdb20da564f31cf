"""Scales and zero points of int8 files are computed where that takes fewer bytes."""

from __future__ import annotations

import copy

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tf_bridge.packing.quantized import shorten_quantization

CHANNELS = 32


def quantized_model(*, image_scale: float = 0.25, bias_scale: float = 1.0) -> onnx.ModelProto:
    """A QDQ convolution of 32 channels; the scale of its bias is `bias_scale` times what the others give."""
    random = np.random.default_rng(0)
    weight_scale = random.uniform(0.01, 0.1, CHANNELS).astype(np.float32)
    constants = {
        "image_scale": np.array(image_scale, np.float32),
        "image_zero": np.array(3, np.uint8),
        "weight": random.integers(-127, 128, (CHANNELS, 3, 1, 1)).astype(np.int8),
        "weight_scale": weight_scale,
        "weight_zero": np.zeros(CHANNELS, np.int8),
        "bias": random.integers(-999, 999, CHANNELS).astype(np.int32),
        "bias_scale": np.float32(image_scale) * weight_scale * np.float32(bias_scale),
        "bias_zero": np.zeros(CHANNELS, np.int32),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "image_scale", "image_zero"], ["codes"]),
        helper.make_node("DequantizeLinear", ["codes", "image_scale", "image_zero"], ["x"]),
        helper.make_node("DequantizeLinear", ["weight", "weight_scale", "weight_zero"], ["w"], axis=0),
        helper.make_node("DequantizeLinear", ["bias", "bias_scale", "bias_zero"], ["b"], axis=0),
        helper.make_node("Conv", ["x", "w", "b"], ["logits"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 2, 2])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, CHANNELS, 2, 2])
    tensors = [numpy_helper.from_array(values, name) for name, values in constants.items()]
    graph = helper.make_graph(nodes, "net", [image], [logits], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(model: onnx.ModelProto) -> bytes:
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    image = np.random.default_rng(1).standard_normal((1, 3, 2, 2)).astype(np.float32)
    return session.run(None, {"image": image})[0].tobytes()


def shortened(model: onnx.ModelProto) -> tuple[onnx.ModelProto, set[str]]:
    short = copy.deepcopy(model)
    return short, set(shorten_quantization(short.graph))


def test_scales_of_biases_and_zero_points_are_computed_and_the_answer_is_the_same_to_the_bit():
    model = quantized_model()
    short, replaced = shortened(model)
    assert replaced == {"bias_scale", "bias_zero"}  # 32 bytes of zeros take less room than the operator that makes them
    assert not replaced & {tensor.name for tensor in short.graph.initializer}
    assert run(short) == run(model)


def test_a_scale_that_is_no_product_is_stored():
    assert shortened(quantized_model(bias_scale=1.0001))[1] == {"bias_zero"}


def test_a_scale_that_is_a_factor_itself_is_stored():
    model = quantized_model(image_scale=1)
    (bias,) = (node for node in model.graph.node if node.output[0] == "b")
    bias.input[1] = "weight_scale"  # as after equal constants were merged
    short, replaced = shortened(model)
    assert replaced == {"bias_zero"}
    assert run(short) == run(model)


@pytest.mark.parametrize("name", ["bias_scale", "weight_scale", "bias_zero"])
def test_what_the_caller_may_replace_is_stored(name):
    model = quantized_model()
    (tensor,) = (each for each in model.graph.initializer if each.name == name)
    model.graph.input.append(helper.make_tensor_value_info(name, tensor.data_type, tensor.dims))
    assert name not in shortened(model)[1]
    assert ("bias_scale" in shortened(model)[1]) == (name == "bias_zero")


def test_scales_that_float16_holds_are_stored_in_it():
    model = quantized_model()
    (scale,) = (each for each in model.graph.initializer if each.name == "weight_scale")
    halves = numpy_helper.to_array(scale).astype(np.float16)
    scale.CopyFrom(numpy_helper.from_array(halves.astype(np.float32), scale.name))
    (product,) = (each for each in model.graph.initializer if each.name == "bias_scale")
    product.CopyFrom(numpy_helper.from_array(np.float32(0.25) * halves.astype(np.float32), product.name))
    short, replaced = shortened(model)
    assert replaced == {"weight_scale", "bias_scale", "bias_zero"}
    assert [each.name for each in short.graph.initializer if each.data_type == TensorProto.FLOAT16] == [
        "weight_scale.h"
    ]
    assert run(short) == run(model)
