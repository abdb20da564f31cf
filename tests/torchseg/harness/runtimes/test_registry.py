from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import nn

from torchseg.harness.runtimes.registry import new_runtime, open_runtime
from torchseg.harness.runtimes.table import RUNTIMES

LIBRARIES = {name: entry.library for name, entry in RUNTIMES.items()}


def expected_logits(model: nn.Module, images: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return model(torch.from_numpy(images)).numpy()


@pytest.mark.parametrize("kind", ["folder", "weights", "onnx"])
def test_every_runtime_computes_what_the_network_computes(kind, checkpoint, onnx_file, model, images):
    path = {"folder": checkpoint, "weights": checkpoint / "model.safetensors", "onnx": onnx_file}[kind]
    logits = open_runtime(path).predict(images)
    assert logits.dtype == np.float32
    assert logits.flags.c_contiguous
    np.testing.assert_allclose(logits, expected_logits(model, images), atol=1e-5)


def test_openvino_computes_what_the_network_computes(onnx_file, model, images):
    pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install '.[openvino]'")
    logits = open_runtime(onnx_file, name="openvino").predict(images)
    np.testing.assert_allclose(logits, expected_logits(model, images), atol=1e-4)


def test_openvino_says_what_is_wrong(onnx_file, images, tmp_path):
    pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install '.[openvino]'")
    with pytest.raises(ValueError, match=r"takes \[1, 3, 16, 24\] and \[3, 3, 16, 8\] came"):
        open_runtime(onnx_file, name="openvino").predict(images[:, :, :, :8])
    (tmp_path / "bad.onnx").write_bytes(b"nothing of use")
    with pytest.raises(ValueError, match="not a file that OpenVINO can open"):
        open_runtime(tmp_path / "bad.onnx", name="openvino")


@pytest.mark.parametrize("name", sorted(set(RUNTIMES) - {"torch"}))  # PyTorch is what this project stands on
def test_a_runtime_that_is_not_installed_says_what_to_install(name, monkeypatch):
    monkeypatch.setitem(sys.modules, LIBRARIES[name], None)
    with pytest.raises(ImportError, match="pip install"):
        new_runtime(name, threads=1)


@pytest.mark.parametrize("name", sorted(set(RUNTIMES) - {"torch"}))
def test_a_runtime_that_is_installed_but_broken_says_why_in_its_own_words(name, monkeypatch, tmp_path):
    library = LIBRARIES[name]
    for module in [each for each in sys.modules if each.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, module)
    (tmp_path / f"{library}.py").write_text("raise ImportError('failed to map segment')", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=r"^failed to map segment$"):
        new_runtime(name, threads=1)


@pytest.mark.tflite
@pytest.mark.slow
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("fp16", 1e-2), ("int8", 0.2)])
def test_litert_speaks_float_channels_first_whatever_the_file_holds(precision, tolerance, tflite_files, kernel, images):
    weight = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
    expected = nn.functional.conv2d(torch.from_numpy(images), weight, padding=1).numpy()
    logits = open_runtime(tflite_files[precision]).predict(images)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, atol=tolerance)


@pytest.mark.tflite
@pytest.mark.slow
def test_litert_names_the_operators_that_its_fast_path_left_over(tflite_files):
    assert open_runtime(tflite_files["fp32"]).describe().leftovers == ()
    described = open_runtime(tflite_files["leftover"], threads=2).describe()
    assert described.leftovers == ("CUMSUM",)
    assert (described.fast_path, described.threads, described.layout) == ("XNNPACK", 2, "NHWC")


@pytest.mark.tflite
@pytest.mark.slow
def test_litert_says_what_size_a_file_takes(tflite_files, images):
    with pytest.raises(ValueError, match=r"takes \[1, 16, 24, 3\] \(NHWC\) and \[3, 16, 16, 3\] came"):
        open_runtime(tflite_files["fp32"]).predict(images[:, :, :, :16])


@pytest.mark.tflite
@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_litert_says_in_which_numbers_it_computes(precision, tflite_files):
    expected = {"fp32": "float32", "fp16": "float32 from float16", "int8": "int8"}[precision]
    assert open_runtime(tflite_files[precision]).describe().arithmetic == expected


@pytest.mark.tflite
@pytest.mark.slow
def test_tensorflow_runs_keras_files_and_says_what_size_they_take(model, spec, images, tmp_path):
    pytest.importorskip("tensorflow")
    from tf_bridge.keras.export import export_keras

    export_keras(model, spec, tmp_path / "net.keras")
    runtime = open_runtime(tmp_path / "net.keras", threads=2)
    np.testing.assert_allclose(runtime.predict(images), expected_logits(model, images), atol=1e-5)
    described = runtime.describe()
    assert (described.name, described.threads, described.arithmetic) == ("tensorflow", 2, "float32")
    assert described.input_shape == (None, 16, 24, 3)
    with pytest.raises(ValueError, match=r"takes \[None, 16, 24, 3\] \(NHWC\) and \[3, 16, 16, 3\] came"):
        runtime.predict(images[:, :, :, :16])


def test_a_runtime_describes_the_conditions_of_its_numbers(onnx_file):
    info = open_runtime(onnx_file, threads=2).describe()
    assert (info.name, info.threads, info.arithmetic) == ("onnxruntime", 2, "float32")
    assert info.input_shape == (1, 3, 16, 24)
    assert info.version


@pytest.mark.parametrize("name", sorted(RUNTIMES))
def test_a_runtime_without_a_file_says_so(name, images):
    pytest.importorskip(LIBRARIES[name], reason=f"{name} is not installed")
    with pytest.raises(ValueError, match=r"no .* is loaded; call load first"):
        new_runtime(name, threads=torch.get_num_threads()).predict(images)


@pytest.mark.parametrize("suffix", ["onnx", "tflite", "keras", "safetensors"])
@pytest.mark.parametrize("content", [b"", b"this is no model", bytes(1000)])
def test_a_damaged_file_is_one_clear_error(suffix, content, tmp_path):
    path = tmp_path / f"model.{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=str(tmp_path)):
        open_runtime(path)


def test_half_a_file_is_one_clear_error(onnx_file, tmp_path):
    path = tmp_path / "half.onnx"
    path.write_bytes(onnx_file.read_bytes()[: onnx_file.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"half\.onnx is not an ONNX file"):
        open_runtime(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"there is no file .*gone\.onnx"):
        open_runtime(tmp_path / "gone.onnx")


def test_an_unknown_runtime_names_the_near_ones(onnx_file):
    with pytest.raises(ValueError, match=r"no runtime 'onnx' \(did you mean 'onnxruntime'"):
        open_runtime(onnx_file, name="onnx")


def test_no_thread_at_all_is_refused(onnx_file):
    with pytest.raises(ValueError, match="threads is 0; give at least 1"):
        open_runtime(onnx_file, threads=0)


def test_onnx_runtime_says_what_size_a_file_takes(onnx_file, images):
    with pytest.raises(ValueError, match=r"takes \[1, 3, 16, 24\] and \[1, 3, 16, 16\] came"):
        open_runtime(onnx_file).predict(images[:1, :, :, :16])
