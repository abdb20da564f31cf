from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from torchseg.harness.measure.layer_profile import LayerCost, Profile
from torchseg.harness.profiling.registry import profile_file
from torchseg.harness.runtimes.table import RUNTIMES

IMAGE = np.random.default_rng(0).normal(size=(1, 3, 16, 24)).astype(np.float32)


def profile(name, path):
    return profile_file(name, path, IMAGE, threads=1, repeats=3)


def kinds(found: Profile) -> set[str]:
    return {layer.kind for layer in found.layers}


def test_the_costliest_layers_come_first():
    layers = [LayerCost(name=str(cost), kind="Conv", milliseconds=cost) for cost in (1.0, 3.0, 2.0)]
    found = Profile(layers=layers, method="")
    assert [layer.name for layer in found.costliest(2)] == ["3.0", "2.0"]
    assert found.total_ms == 6


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_the_layers_of_an_onnx_file_are_timed_in_one_run(name, onnx_file):
    pytest.importorskip(name, reason=f"{name} is not installed")
    found = profile(name, onnx_file)
    assert kinds(found) & {"Conv", "FusedConv", "Convolution"}
    assert all(layer.milliseconds >= 0 for layer in found.layers)
    assert 0 < found.total_ms < 1000
    assert len({layer.name for layer in found.layers}) == len(found.layers)


def test_the_layers_of_a_checkpoint_are_its_modules(checkpoint, model):
    found = profile("torch", checkpoint)
    expected = [name for name, module in model.named_modules() if not list(module.children())]
    assert {layer.name for layer in found.layers} <= set(expected)
    assert "Conv2d" in kinds(found)


@pytest.mark.parametrize(("precision", "operators"), [("fp32", ["CONV_2D"]), ("fp16", ["CONV_2D"])])
def test_the_operators_of_a_tflite_file_are_timed_alone_without_those_that_load_weights(
    tflite_files, precision, operators
):
    found = profile("litert", tflite_files[precision])
    assert [layer.kind for layer in found.layers] == operators
    assert found.fast == 1
    assert found.total_ms > 0


def test_an_int8_tflite_file_is_timed_with_its_conversions(tflite_files):
    found = profile("litert", tflite_files["int8"])
    assert "CONV_2D" in kinds(found)
    assert all(layer.milliseconds > 0 for layer in found.layers)


def test_an_operator_that_xnnpack_left_over_is_marked(tflite_files):
    found = profile("litert", tflite_files["leftover"])
    assert [layer.kind for layer in found.layers if "not in XNNPACK" in layer.note] == ["CUMSUM"]
    assert found.fast is not None
    assert 0 < found.fast < 1


def test_a_runtime_without_a_profiler_is_named(onnx_file, monkeypatch):
    monkeypatch.setitem(RUNTIMES, "onnxruntime", replace(RUNTIMES["onnxruntime"], profile=None))
    with pytest.raises(ValueError, match="there is no profiler for onnxruntime"):
        profile("onnxruntime", onnx_file)


def test_every_runtime_but_that_of_keras_files_has_a_profiler():
    assert [name for name, entry in RUNTIMES.items() if entry.profile is None] == ["tensorflow"]
