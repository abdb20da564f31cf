from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=16, width=24, classes=("sky", "road", "car"))


@pytest.fixture(scope="session")
def export_onnx() -> Callable[..., Path]:
    def export(model: nn.Module, path: Path) -> Path:
        example = torch.zeros(1, 3, SPEC.height, SPEC.width)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's own deprecations, nothing of ours
            torch.onnx.export(model, (example,), str(path), dynamo=True, external_data=False, verbose=False)
        return path

    return export


@pytest.fixture(scope="session")
def kernel() -> np.ndarray:
    """3x3 convolution weights in TensorFlow's order `(3, 3, C, K)`: half of them zero, else one of four values."""
    random = np.random.default_rng(0)
    values = random.choice(np.array([-0.5, -0.25, 0.25, 0.5], np.float32), 81)
    values[random.permutation(81)[:40]] = 0
    return values.reshape(3, 3, 3, 3)


@pytest.fixture(scope="session")
def tflite_files(tmp_path_factory: pytest.TempPathFactory, kernel: np.ndarray) -> dict[str, Path]:
    """`kernel` as files of several precisions, and as one with an operator that XNNPACK does not know."""
    tensorflow = pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install '.[tf]'")
    folder = tmp_path_factory.mktemp("tflite")
    files = {}
    for name in ("fp32", "fp16", "int8", "leftover"):
        files[name] = folder / f"{name}.tflite"
        files[name].write_bytes(_convert(tensorflow, kernel, name))
    return files


def _convert(tensorflow: Any, kernel: np.ndarray, name: str) -> bytes:
    shape = (1, SPEC.height, SPEC.width, 3)

    class Network(tensorflow.Module):
        @tensorflow.function(input_signature=[tensorflow.TensorSpec(shape, tensorflow.float32)], autograph=False)
        def __call__(self, images: Any) -> Any:
            found = tensorflow.nn.conv2d(images, kernel, 1, "SAME")
            return found + tensorflow.math.cumsum(found, axis=1) if name == "leftover" else found

    network = Network()
    converter = tensorflow.lite.TFLiteConverter.from_concrete_functions(
        [network.__call__.get_concrete_function()], network
    )
    if name in ("fp16", "int8"):
        converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
    if name == "fp16":
        converter.target_spec.supported_types = [tensorflow.float16]
    if name == "int8":
        drawn = np.random.default_rng(1).normal(size=(8, *shape), scale=1.5).astype(np.float32)
        converter.representative_dataset = lambda: ([images] for images in drawn)
        converter.target_spec.supported_ops = [tensorflow.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tensorflow.int8
        converter.inference_output_type = tensorflow.uint8
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter's own deprecations
        return bytes(converter.convert())
