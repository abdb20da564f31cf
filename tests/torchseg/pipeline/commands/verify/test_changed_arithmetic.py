"""Files with other grids or operators, whose hashes were repaired: the numbers show it, and name the layer."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.tflite, pytest.mark.slow]
pytest.importorskip("tensorflow")

Change = Callable[[Any, Path], None]


def added(amount: float, at: tuple[int, ...] | slice = slice(None)) -> Callable[[np.ndarray], np.ndarray]:
    def change(values: np.ndarray) -> np.ndarray:
        values[at] = values[at] + amount
        return values

    return change


def times(factor: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda values: values * factor


def onnx_grid(layer: str, part: str, change: Callable) -> Change:
    return lambda tamper, path: tamper.change_initializer(
        path, f"{layer}_{part}", lambda values: np.asarray(change(values))
    )


ONNX_GRIDS = {
    "zero point moved by 20": ("zero_point", lambda values: values + 20),
    "zero point moved by 5": ("zero_point", lambda values: values + 5),
    "scale stretched": ("scale", times(1.3)),
    "scale shrunk": ("scale", times(0.8)),
}


@pytest.mark.parametrize("layer", ["stem.2/relu", "decode.0.2/relu", "image"])
@pytest.mark.parametrize("change", ONNX_GRIDS)
def test_a_changed_grid_of_an_onnx_file_is_found_and_its_layer_named(change: str, layer: str, problems):
    part, how = ONNX_GRIDS[change]
    assert f"the grid of `{layer}` holds" in problems("int8.onnx", onnx_grid(layer, part, how))


@pytest.mark.parametrize("layer", ["stem.2/relu", "decode.0.2/relu"])
@pytest.mark.parametrize("change", [{"shift": 20}, {"shift": 5}, {"factor": 1.3}, {"factor": 0.8}], ids=str)
def test_a_changed_grid_of_a_tflite_file_is_found_and_its_layer_named(change: dict, layer: str, problems):
    assert f"the grid of `{layer}` holds" in problems(
        "int8.tflite", lambda tamper, path: tamper.change_grid(path, layer, **change)
    )


@pytest.mark.parametrize("name", ["image", "logits"])
def test_a_changed_grid_of_input_or_output_is_found_in_tflite(name: str, problems):
    assert "the grid of `" in problems("int8.tflite", lambda tamper, path: tamper.change_grid(path, name, factor=1.5))


def test_a_wrong_bias_is_found_and_its_layer_named(problems):
    said = problems(
        "int8.onnx",
        lambda tamper, path: tamper.change_initializer(path, "gate.0.skip.bias_quantized", added(4000, (0,))),
    )
    assert "layer `gate.0.skip/conv2d` is off by" in said
    said = problems(
        "int8.tflite",
        lambda tamper, path: tamper.change_constant(path, "gate.0.skip/conv2d/BiasAdd", added(4000, (0,)), np.int32),
    )
    assert "layer `gate.0.skip/conv2d` is off by" in said


def other_operator(old: str, new: str) -> Change:
    def change(tamper: Any, path: Path) -> None:
        with tamper.onnx_model(path) as model:
            node = next(each for each in model.graph.node if each.op_type == old)
            node.op_type = new

    return change


def other_resize(tamper: Any, path: Path) -> None:
    with tamper.onnx_model(path) as model:
        node = next(each for each in model.graph.node if each.op_type == "Resize")
        for attribute in node.attribute:
            if attribute.name == "coordinate_transformation_mode":
                attribute.s = b"asymmetric"


def other_order(tamper: Any, path: Path) -> None:
    if path.suffix == ".onnx":
        with tamper.onnx_model(path) as model:
            node = next(each for each in model.graph.node if each.op_type == "Concat")
            node.input[:] = list(node.input)[::-1]
        return
    with tamper.tflite_model(path) as model:
        operation = next(each for each in model.graph.operators if model.kind(each) == "CONCATENATION")
        operation.inputs = list(operation.inputs)[::-1]


def other_corners(tamper: Any, path: Path) -> None:
    with tamper.tflite_model(path) as model:
        operation = next(each for each in model.graph.operators if model.kind(each) == "RESIZE_BILINEAR")
        operation.builtinOptions.halfPixelCenters = False


ARITHMETIC = {
    "a sum that is a product": ("int8.onnx", other_operator("Add", "Mul"), "gate.0/relu"),
    "a gate of another shape": ("int8.onnx", other_operator("Sigmoid", "HardSigmoid"), "gate.0/sigmoid"),
    "a resize by another rule": ("int8.onnx", other_resize, "up.0/upsample_bilinear2d"),
    "a concatenation in another order": ("int8.onnx", other_order, "join/cat"),
    "another order in TFLite": ("int8.tflite", other_order, "join/cat"),
    "other corners in TFLite": ("int8.tflite", other_corners, "up.0/upsample_bilinear2d"),
}


@pytest.mark.parametrize("change", ARITHMETIC)
def test_other_arithmetic_is_found_and_its_layer_named(change: str, problems):
    kind, how, layer = ARITHMETIC[change]
    assert f"layer `{layer}` is off by" in problems(kind, how)


KERAS = {
    "a factor of batch norm": ("stem.4.batch_norm", added(0.2, (0,)), {}),
    "a bias": ("gate.0.skip.conv2d", added(0.5, (0,)), {"part": "1"}),
    "another activation": ("stem.2.relu", lambda name: "softplus", {"config": "activation"}),
    "another resize": ("up.0.upsample_bilinear2d", lambda rule: "nearest", {"config": "interpolation"}),
}


@pytest.mark.parametrize("change", KERAS)
def test_other_arithmetic_in_a_keras_file_is_found_and_its_layer_named(change: str, problems):
    layer, how, where = KERAS[change]
    said = problems("fp32.keras", lambda tamper, path: tamper.change_keras(path, layer, how, **where))
    assert f"layer `{layer.rpartition('.')[0]}" in said


def test_other_normalisation_in_an_end_to_end_file_is_found(problems):
    said = problems(
        "int8.end_to_end.onnx", lambda tamper, path: tamper.change_initializer(path, "image.factor", times(1.2))
    )
    assert "layer `image` is off by" in said
    said = problems(
        "int8.end_to_end.tflite",
        lambda tamper, path: tamper.change_constant(path, "image/summand", added(3000), np.int32),
    )
    assert "layer `image` is off by" in said


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_the_file_of_another_network_is_found(kind: str, problems):
    def change(tamper: Any, path: Path) -> None:
        shutil.copyfile(path.with_name(f"student.int8.{kind}"), path)

    assert "weights of layer `stem.0` are not the network's" in problems(f"int8.{kind}", change)
