"""Changes that cost no accuracy, or show in one channel alone, with every hash repaired, are found all the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from tf_bridge.certify.network_layers import NetworkLayers
from tf_bridge.certify.proof import prove
from tf_bridge.onnx.export import export_onnx
from tf_bridge.tracing import export_program
from torchseg.modelfile.certificate import certificate_path
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

pytestmark = [pytest.mark.tflite, pytest.mark.slow]
pytest.importorskip("tensorflow")

Change = Callable[[Any, Path], None]


def constant(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Change:
    """A change of a constant of an ONNX file."""
    return lambda tamper, path: tamper.change_initializer(path, name, change)


def tflite_constant(name: str, change: Callable[[np.ndarray], np.ndarray], dtype: type = np.float32) -> Change:
    return lambda tamper, path: tamper.change_constant(path, name, change, dtype)


def attributes(kind: str, number: int = 0, **values: Any) -> Change:
    """Other attributes of the operator with this number among those of its kind in an ONNX file."""

    def change(tamper: Any, path: Path) -> None:
        with tamper.onnx_model(path) as model:
            node = [each for each in model.graph.node if each.op_type == kind][number]
            kept = [each for each in node.attribute if each.name not in values]
            del node.attribute[:]
            node.attribute.extend([*kept, *(onnx.helper.make_attribute(name, value) for name, value in values.items())])

    return change


def operator(old: str, new: str, number: int = 0) -> Change:
    def change(tamper: Any, path: Path) -> None:
        with tamper.onnx_model(path) as model:
            [each for each in model.graph.node if each.op_type == old][number].op_type = new

    return change


def mean_for_maximum(tamper: Any, path: Path) -> None:
    with tamper.onnx_model(path) as model:
        node = next(each for each in model.graph.node if each.op_type == "MaxPool")
        kept = [each for each in node.attribute if each.name in ("kernel_shape", "strides", "pads")]
        del node.attribute[:]
        node.attribute.extend(kept)
        node.op_type = "AveragePool"


def activation(kind: int) -> Change:
    """Another activation than the ReLU that is fused into the first convolution of a TFLite file; 0 is none."""

    def change(tamper: Any, path: Path) -> None:
        with tamper.tflite_model(path) as model:
            operation = next(each for each in model.graph.operators if model.kind(each) == "CONV_2D")
            operation.builtinOptions.fusedActivationFunction = kind

    return change


def swapped_layers(tamper: Any, path: Path) -> None:
    """The weights of two layers of the same shape, exchanged with their names."""
    with tamper.onnx_model(path) as model:
        tensors = {each.name: each for each in model.graph.initializer}
        first, second = (numpy_helper.to_array(tensors[name]) for name in ("stem.3.weight", "decode.0.3.weight"))
        tensors["stem.3.weight"].CopyFrom(numpy_helper.from_array(second, "stem.3.weight"))
        tensors["decode.0.3.weight"].CopyFrom(numpy_helper.from_array(first, "decode.0.3.weight"))


def renamed_layers(tamper: Any, path: Path) -> None:
    """Two layers of the same shape that read each other's weights, each under its right name."""
    with tamper.onnx_model(path) as model:
        pair = {"stem.3.weight": "decode.0.3.weight", "decode.0.3.weight": "stem.3.weight"}
        for node in model.graph.node:
            node.input[:] = [pair.get(name, name) for name in node.input]


def second_output(tamper: Any, path: Path) -> None:
    with tamper.onnx_model(path) as model:
        model.graph.node.append(onnx.helper.make_node("Identity", ["image"], ["copy"], name="copy"))
        shape = [each.dim_value for each in model.graph.input[0].type.tensor_type.shape.dim]
        model.graph.output.append(onnx.helper.make_tensor_value_info("copy", onnx.TensorProto.FLOAT, shape))


def plus(amount: float, at: int = 0) -> Callable[[np.ndarray], np.ndarray]:
    def change(values: np.ndarray) -> np.ndarray:
        values[at] += amount
        return values

    return change


def factor(amount: float, at: int) -> Callable[[np.ndarray], np.ndarray]:
    def change(values: np.ndarray) -> np.ndarray:
        values[at] *= amount
        return values

    return change


def six_bits(values: np.ndarray) -> np.ndarray:
    return np.round(values / 4).clip(-31, 31) * 4


def halves(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float16)


CHANGES = {
    "a bias of one channel": ("fp32.onnx", constant("gate.0.skip.bias", plus(0.01)), "`gate.0.skip/conv2d` is off"),
    "a bias of one channel in TFLite": (
        "fp32.tflite",
        tflite_constant("gate.0.skip/conv2d/BiasAdd", plus(0.01)),
        "`gate.0.skip/conv2d` is off",
    ),
    "the bias of the last class": ("fp16.onnx", constant("head.bias*", plus(0.2, -1)), "is off by"),
    "weights of fewer bits": (
        "int8.onnx",
        constant("decode.0.0.weight_quantized", six_bits),
        "weights of layer `decode",
    ),
    "weights in half precision that are called single": (
        "fp32.onnx",
        constant("decode.0.0.weight", halves),
        "weights of layer `decode.0.0`",
    ),
    "a scale of the last class, halved": (
        "int8.onnx",
        constant("head.weight_scale", factor(0.5, -1)),
        "weights of layer `head`",
    ),
    "a zero point of weights": (
        "int8.onnx",
        constant("stem.3.weight_zero_point", plus(2, 1)),
        "weights of layer `stem.3`",
    ),
    "weights of two layers exchanged": ("fp32.onnx", swapped_layers, "weights of layer `stem.3`"),
    "two layers that read each other's weights": ("fp32.onnx", renamed_layers, "is off by"),
    "a dilation": (
        "fp32.onnx",
        attributes("Conv", 1, dilations=[2, 2], pads=[2, 2, 2, 2]),
        "differs at layer `stem.4`",
    ),
    "padding at one side": ("fp32.onnx", attributes("Conv", 1, pads=[2, 2, 0, 0]), "differs at layer `stem.4`"),
    "a resize by another rule": (
        "fp32.onnx",
        attributes("Resize", coordinate_transformation_mode="asymmetric"),
        "`up.0/upsample_bilinear2d` is off",
    ),
    "a resize to the nearest pixel": (
        "int8.onnx",
        attributes("Resize", mode="nearest"),
        "`up.0/upsample_bilinear2d` is",
    ),
    "a mean for a maximum": (
        "fp16.onnx",
        mean_for_maximum,
        "`down.0.0/max_pool2d` is off",
    ),
    "a second output": ("fp32.onnx", second_output, "the file has 2 outputs (logits, copy); the network has one"),
    "a ReLU6 for a ReLU in TFLite": ("fp32.tflite", activation(3), "`stem.2/relu` is off"),
    "a mirrored kernel": (
        "fp32.onnx",
        constant("stem.3.weight", lambda values: values[..., ::-1]),
        "weights of layer `stem.3`",
    ),
    "a scale of dynamic weights": (
        "dynamic.onnx",
        constant("stem.3.weight_scale", lambda values: values * 1.03),
        "weights of layer `stem.3`",
    ),
    "a zero point of dynamic weights": (
        "dynamic.onnx",
        constant("stem.3.weight_zero_point", lambda values: values + 1),
        "weights of layer `stem.3`",
    ),
    "another epsilon in Keras": (
        "fp32.keras",
        lambda tamper, path: tamper.change_keras(path, "stem.4.batch_norm", lambda _: 0.01, config="epsilon"),
        "`stem.4/batch_norm` is off",
    ),
    "another mean in Keras": (
        "fp32.keras",
        lambda tamper, path: tamper.change_keras(path, "stem.4.batch_norm", plus(0.1), part="2"),
        "differs at layer `stem.4`",
    ),
    "a ReLU that lets through": ("fp32.onnx", operator("Relu", "LeakyRelu", 2), "`down.0.1.2/relu` is off"),
    "no ReLU in TFLite": ("fp32.tflite", activation(0), "`stem.2/relu` is off"),
    "one code of a packed file": (
        "int8.packed.onnx",
        constant("stem.3.weight_quantized*", plus(30, (0, 0, 0, 0))),
        "weights of layer `stem.3`",
    ),
    "the normalisation of one colour": (
        "int8.end_to_end.onnx",
        constant("image.factor", lambda values: values[:, ::-1] * np.array([1, 1.1, 1]).reshape(1, 3, 1, 1)),
        "is off by",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_costs_little_is_found(change: str, problems):
    kind, how, message = CHANGES[change]
    assert message in problems(kind, how)


def test_a_bound_that_no_image_reaches_is_found(tmp_path: Path):
    """A ReLU6 that cuts off at 60: on real images nothing shows it."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU6(), nn.Conv2d(4, 3, 1)).eval()
    spec = ImageSpec(height=16, width=16, classes=("a", "b", "c"))
    export_onnx(network, spec, tmp_path / "net.onnx")
    layers = NetworkLayers(export_program(network, spec))
    image = np.random.default_rng(0).standard_normal((1, 3, 16, 16)).astype(np.float32)
    assert prove(tmp_path / "net.onnx", layers, [(image, image)], precision=Precision.FP32).failures == ()
    model = onnx.load(tmp_path / "net.onnx")
    for each in model.graph.initializer:
        if numpy_helper.to_array(each).size == 1 and float(numpy_helper.to_array(each).item()) == 6:
            each.CopyFrom(numpy_helper.from_array(np.full(each.dims, 60, np.float32), each.name))
    onnx.save(model, tmp_path / "net.onnx")
    failures = prove(tmp_path / "net.onnx", layers, [(image, image)], precision=Precision.FP32).failures
    assert any("`1/hardtanh` is off" in each or "`1/relu6` is off" in each for each in failures), failures


def test_the_certificate_of_another_precision_is_found_even_where_it_names_the_file(problems):
    def change(tamper: Any, path: Path) -> None:
        shutil.copyfile(certificate_path(path.with_name("clustered.fp32.onnx")), certificate_path(path))
        with tamper.recorded(path) as values:
            values["file"] = path.name

    assert "it says precision fp32, but it is int8" in problems("int8.onnx", change)
