"""Files with other weights, whose hashes were repaired: the numbers alone show it, and name the layer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

pytestmark = [pytest.mark.tflite, pytest.mark.slow]
pytest.importorskip("tensorflow")

Change = Callable[[Any, Path], None]

FILES = ("fp32.onnx", "fp16.onnx", "dynamic.onnx", "int8.onnx", "int8.packed.onnx", "fp32.tflite", "fp16.tflite",
         "dynamic.tflite", "int8.tflite", "int8.end_to_end.onnx", "int8.end_to_end.tflite", "fp32.keras")  # fmt: skip


def swap_first_two(values: np.ndarray) -> np.ndarray:
    """Swaps the first two output channels."""
    values[[0, 1]] = values[[1, 0]]
    return values


@pytest.mark.parametrize("name", FILES)
def test_a_certificate_holds_for_the_file_that_it_was_made_for(name: str, problems):
    assert problems(name, lambda tamper, path: None) == ""


def scrambled(values: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).permutation(values.reshape(-1)).reshape(values.shape)


def onnx_weight(layer: str, change: Callable) -> Change:
    return lambda tamper, path: tamper.change_initializer(path, f"{layer}.weight_quantized", change)


def tflite_weight(layer: str, change: Callable) -> Change:
    return lambda tamper, path: tamper.change_constant(path, f"{layer}/conv2d/Conv2D", change)


def zeroed(values: np.ndarray) -> np.ndarray:
    values[1] = 0
    return values


def flipped(values: np.ndarray) -> np.ndarray:
    """One code in the middle of the tensor, by a quarter of the range."""
    flat = values.reshape(-1)
    at = len(flat) // 2
    flat[at] += 40 if flat[at] < 0 else -40
    return values


WEIGHTS = {
    "two channels swapped": swap_first_two,
    "scrambled": scrambled,
    "a channel without weights": zeroed,
    "a single code changed": flipped,
}


@pytest.mark.parametrize("layer", ["stem.3", "decode.0.0"])
@pytest.mark.parametrize("kind", ["int8.onnx", "int8.tflite"])
@pytest.mark.parametrize("change", WEIGHTS)
def test_changed_weights_are_found_and_their_layer_named(change: str, kind: str, layer: str, problems):
    of = onnx_weight if kind.endswith("onnx") else tflite_weight
    assert f"weights of layer `{layer}` are not the network's" in problems(kind, of(layer, WEIGHTS[change]))


def test_swapped_channels_are_found_in_every_other_file(problems):
    for kind, name in (("fp32.onnx", "stem.3.weight"), ("fp16.onnx", "stem.3.weight.fp16"),
                       ("dynamic.onnx", "stem.3.weight_quantized"), ("int8.end_to_end.onnx", "stem.3.weight_quantized"),
                       ):  # fmt: skip
        said = problems(kind, lambda tamper, path, name=name: tamper.change_initializer(path, name, swap_first_two))
        assert "weights of layer `stem.3` are not the network's" in said, kind
    for kind, dtype in (
        ("fp32.tflite", np.float32),
        ("fp16.tflite", np.float16),
        ("dynamic.tflite", np.float32),
        ("int8.end_to_end.tflite", np.int8),
    ):
        said = problems(
            kind,
            lambda tamper, path, dtype=dtype: tamper.change_constant(
                path, "stem.3/conv2d/Conv2D", swap_first_two, dtype
            ),
        )
        assert "weights of layer `stem.3` are not the network's" in said, kind


@pytest.mark.parametrize("change", [each for each in WEIGHTS if each != "a single code changed"])
def test_changed_weights_of_a_keras_file_are_found_and_their_layer_named(change: str, problems):
    def changed(kernel: np.ndarray) -> np.ndarray:
        return WEIGHTS[change](kernel.transpose(3, 0, 1, 2).copy()).transpose(1, 2, 3, 0)

    said = problems("fp32.keras", lambda tamper, path: tamper.change_keras(path, "stem.3.conv2d", changed))
    assert "weights of layer `stem.3` are not the network's" in said


def test_a_changed_codebook_of_a_packed_file_is_found(problems):
    def change(tamper: Any, path: Path) -> None:
        with tamper.onnx_model(path) as model:
            book = max(
                (each for each in model.graph.initializer if each.data_type == onnx.TensorProto.INT8 and each.dims),
                key=lambda each: np.prod(each.dims),
            )
            values = onnx.numpy_helper.to_array(book).copy()
            book.CopyFrom(onnx.numpy_helper.from_array(values[::-1].copy(), book.name))

    assert "are not the network's" in problems("int8.packed.onnx", change)
