"""Biases that are off by two steps or a thousandth, with every hash repaired: the layer and its channel are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.torchseg.pipeline.commands.verify.test_small_changes import constant, factor, plus, tflite_constant

pytestmark = [pytest.mark.tflite, pytest.mark.slow]
pytest.importorskip("tensorflow")


def packed_bias(tamper: Any, path: Path) -> None:
    """A bias in a packed file, where its name is another: it has the codes of the file before packing."""
    plain = onnx.load(path.with_name(path.name.replace(".packed", "")))
    (codes,) = (numpy_helper.to_array(each) for each in plain.graph.initializer if each.name == BIAS)
    with tamper.onnx_model(path) as model:
        arrays = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
        (name,) = (name for name, values in arrays.items() if np.array_equal(values, codes))
    tamper.change_initializer(path, name, plus(2, 1))


def tflite_bias_scale(tamper: Any, path: Path) -> None:
    """Another scale of one channel of a bias: integer kernels do not look at it."""
    with tamper.tflite_model(path) as model:
        bias = next(each for each in model.graph.tensors if each.name.startswith(b"gate.0.skip/conv2d/BiasAdd"))
        bias.quantization.scale[1] *= 1.5


BIAS = "gate.0.skip.bias_quantized"
OFF = "bias of layer `gate.0.skip` is not the network's: channel "
BIASES = {
    "ONNX": ("int8.onnx", constant(BIAS, plus(2, 1)), f"{OFF}1 is off by"),
    "packed": ("int8.packed.onnx", packed_bias, f"{OFF}1 is off by"),
    "end to end": ("int8.end_to_end.onnx", constant(BIAS, plus(-2, 0)), f"{OFF}0 is off by"),
    "TFLite": ("int8.tflite", tflite_constant("gate.0.skip/conv2d/BiasAdd", plus(2, 1), np.int32), f"{OFF}1 is off by"),
    "zero point": ("int8.onnx", constant(f"{BIAS}_zero_point", plus(3, 1)), f"{OFF}1 is off by"),
    "scale": ("int8.onnx", constant(f"{BIAS}_scale", factor(1.5, 1)), "`gate.0.skip` has a scale that is not that of"),
    "scale in TFLite": ("int8.tflite", tflite_bias_scale, "`gate.0.skip` has a scale that is not that of"),
    "dynamic": ("dynamic.onnx", constant("gate.0.skip.bias", plus(1e-3, 1)), f"{OFF}1 is off by"),
    "dynamic in TFLite": (
        "dynamic.tflite",
        tflite_constant("gate.0.skip/conv2d/BiasAdd", plus(1e-3, 1)),
        f"{OFF}1 is off by",
    ),
    "fp16": ("fp16.onnx", constant("gate.0.skip.bias*", plus(2e-3, 1)), f"{OFF}1 is off by"),
    "Keras": (
        "fp32.keras",
        lambda tamper, path: tamper.change_keras(path, "gate.0.skip.conv2d", plus(1e-3, 1), part="1"),
        f"{OFF}1 is off by",
    ),
}


@pytest.mark.parametrize("change", BIASES)
def test_a_bias_that_is_off_by_two_steps_is_found_and_its_channel_named(change: str, problems):
    kind, how, message = BIASES[change]
    assert message in problems(kind, how)
