from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from torch import nn

from tf_bridge.packing.pack import pack_onnx
from torchseg.checkpoint import Card, save_checkpoint
from torchseg.harness.measure.weights import count_weights, weights_in
from torchseg.models import build_model

VALUES = (-0.5, -0.25, 0.25, 0.5)


@settings(deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 8), st.integers(0, 50))
def test_zeros_and_distinct_values_are_counted(seed, values, zeros):
    random = np.random.default_rng(seed)
    tensor = np.concatenate([np.arange(1, values + 1), random.integers(1, values + 1, 50), np.zeros(zeros)])
    count = count_weights([random.permutation(tensor), np.ones(1)])
    assert count.max_unique_weights == values
    assert count.sparsity == zeros / (tensor.size + 1)


def test_a_file_without_weights_has_no_sparsity():
    count = count_weights([])
    assert np.isnan(count.sparsity)
    assert count.max_unique_weights == 0


@pytest.fixture(scope="module")
def compressed(spec, tmp_path_factory) -> Path:
    """A checkpoint where every kernel holds zeros and four values, so that half of each is zero."""
    arguments = {"base_width": 2, "depth": 1, "batch_norm": False}
    network = build_model("small_unet", arguments, spec)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            flat = torch.tensor(VALUES).repeat(module.weight.numel())[: module.weight.numel()].clone()
            flat[::2] = 0
            module.weight.data = flat.reshape(module.weight.shape)
    folder = tmp_path_factory.mktemp("compressed") / "clustered"
    save_checkpoint(network, Card(builder="small_unet", spec=spec, stage="clustered", arguments=arguments), folder)
    return folder


def test_a_checkpoint_and_its_onnx_file_hold_the_same_weights(compressed, export_onnx):
    from torchseg.checkpoint import load_checkpoint

    path = export_onnx(load_checkpoint(compressed)[0], compressed.parent / "clustered.onnx")
    assert _contents(path) == _contents(compressed)
    count = count_weights(weight.rows for weight in weights_in(path))
    assert count.max_unique_weights == 2  # every other of the four values was set to zero
    assert count.sparsity == pytest.approx(0.5, abs=0.02)


def _contents(path):
    return sorted((weight.rows.shape, weight.rows.tobytes()) for weight in weights_in(path))


def test_weights_that_a_packed_file_rebuilds_are_found(compressed, export_onnx):
    from torchseg.checkpoint import load_checkpoint

    dense = export_onnx(load_checkpoint(compressed)[0], compressed.parent / "dense.onnx")
    packed = compressed.parent / "packed.onnx"
    summary = pack_onnx(dense, packed)
    assert any(weight.storage != "dense" for weight in summary.weights)
    assert {weight.name for weight in weights_in(packed)} == {weight.name for weight in weights_in(dense)}
    for ours, theirs in zip(weights_in(packed), weights_in(dense), strict=True):
        np.testing.assert_array_equal(ours.rows, theirs.rows)


def test_a_product_of_two_computed_values_has_no_weights(tmp_path):
    sides = helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, [4, 4])
    answer = helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [4, 4])
    nodes = [
        helper.make_node("Relu", ["images"], ["other"]),
        helper.make_node("MatMul", ["images", "other"], ["logits"]),
    ]
    path = tmp_path / "product.onnx"
    onnx.save(helper.make_model(helper.make_graph(nodes, "tiny", [sides], [answer])), path)
    assert not list(weights_in(path))


@pytest.mark.parametrize(("operator", "options", "shape"), [
    ("Conv", {}, (3, 2, 1, 1)), ("ConvTranspose", {}, (2, 3, 1, 1)), ("Gemm", {"transB": 1}, (3, 2)),
    ("Gemm", {}, (2, 3)), ("MatMul", {}, (2, 3)),
])  # fmt: skip
def test_each_row_is_an_output_channel(tmp_path, operator, options, shape):
    by_channel = np.arange(6, dtype=np.float32).reshape(3, 2)
    kernel = (by_channel if shape[0] == 3 else by_channel.T).reshape(shape)
    size = [1, 2, 4, 4] if len(shape) == 4 else [4, 2]
    sides = helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, size)
    answer = helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [size[0], 3, *size[2:]][: len(size)])
    node = helper.make_node(operator, ["images", "kernel"], ["logits"], **options)
    graph = helper.make_graph([node], "tiny", [sides], [answer], [numpy_helper.from_array(kernel, "kernel")])
    onnx.save(helper.make_model(graph), tmp_path / "one.onnx")
    (weight,) = weights_in(tmp_path / "one.onnx")
    np.testing.assert_array_equal(weight.rows, by_channel)


@pytest.mark.tflite
@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_a_tflite_file_holds_the_zeros_and_values_that_went_in(precision, tflite_files, kernel):
    count = count_weights(weight.rows for weight in weights_in(tflite_files[precision]))
    assert count.sparsity == np.mean(kernel == 0)
    assert count.max_unique_weights == 4


def test_quantized_onnx_weights_are_found_behind_their_scale_with_the_zero_point_taken_off(tmp_path):
    codes = np.array([10, 10, 12, 13], np.uint8).reshape(2, 2, 1, 1)
    tensors = {"codes": codes, "scale": np.float32(0.1), "zero": np.uint8(10)}
    nodes = [
        helper.make_node("DequantizeLinear", ["codes", "scale", "zero"], ["kernel"]),
        helper.make_node("Conv", ["images", "kernel"], ["logits"]),
    ]
    sides = helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, [1, 2, 4, 4])
    answer = helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [1, 2, 4, 4])
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in tensors.items()]
    path = tmp_path / "quantized.onnx"
    onnx.save(helper.make_model(helper.make_graph(nodes, "tiny", [sides], [answer], stored)), path)
    (weight,) = weights_in(path)
    np.testing.assert_array_equal(weight.rows, [[0, 0], [2, 3]])
