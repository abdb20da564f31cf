"""The operators of a file that are not affine, against those of its network."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from torch import nn

from tf_bridge.certify.network_layers import NetworkLayers
from tf_bridge.certify.operator_check import foreign_operators
from tf_bridge.certify.proof import prove
from tf_bridge.end_to_end import write_end_to_end
from tf_bridge.onnx.export import export_onnx
from tf_bridge.tracing import export_program
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=16, width=16, classes=("a", "b", "c"))
PRECISIONS = [str(each) for each in Precision]
IMAGES = np.random.default_rng(0).normal(size=(4, 3, 16, 16)).astype(np.float32)


class Gated(nn.Module):
    """Every kind of operator that bends or chooses values, a product of two values, and two resizings."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.down = nn.Sequential(nn.MaxPool2d(3, 2, 1), nn.Conv2d(4, 4, 1), nn.ReLU6(), nn.AvgPool2d(2))
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1), nn.Sigmoid())
        self.up = nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(4, 4, 1), nn.LeakyReLU(0.1))
        self.head = nn.Sequential(nn.ConvTranspose2d(8, 4, 2, stride=2), nn.Dropout(), nn.Conv2d(4, 3, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        features = self.stem(image)
        deep = self.up(self.down(features))
        gate = self.pooled(features)
        return self.head(torch.cat([deep * gate, deep + gate], dim=1))


def gated() -> nn.Module:
    torch.manual_seed(0)
    return Gated().eval()


@pytest.fixture(scope="module")
def network() -> NetworkLayers:
    return NetworkLayers(export_program(gated(), SPEC))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The network at every precision, and end to end."""
    folder = tmp_path_factory.mktemp("files")
    written = {precision: folder / f"net.{precision}.onnx" for precision in PRECISIONS}
    for precision, path in written.items():
        export_onnx(gated(), SPEC, path, precision=Precision(precision), calibration=IMAGES)
    written["end to end"] = folder / "net.int8.end_to_end.onnx"
    write_end_to_end(written["int8"], written["end to end"], SPEC)
    return written


@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_honest_file_has_the_operators_of_its_network(precision: str, files, network: NetworkLayers):
    assert network.unproven == []
    assert foreign_operators(files[precision], network, Precision(precision), end_to_end=False) == []


@pytest.mark.slow
def test_an_end_to_end_file_may_take_the_argmax_and_no_other_may(files, network: NetworkLayers):
    assert foreign_operators(files["end to end"], network, Precision.INT8, end_to_end=True) == []
    said = foreign_operators(files["end to end"], network, Precision.INT8, end_to_end=False)
    assert [each.split("`")[1] for each in said] == ["ArgMax", "conversion to integers"]


def beside(model: onnx.ModelProto, *nodes: tuple[str, list[str], str], **constants: object) -> None:
    """Adds operators between the logits, now called `sum`, and the output."""
    next(each for each in model.graph.node if "logits" in each.output).output[0] = "sum"
    for name, value in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
    for kind, inputs, output in nodes:
        model.graph.node.append(helper.make_node(kind, inputs, [output], name=f"beside.{output}"))


def bright_pixel(model: onnx.ModelProto) -> None:
    """Adds to one class where a pixel is far brighter than those of any image."""
    kernel = np.zeros((3, 3, 1, 1))
    kernel[0, 0] = 1000
    nodes = [("Add", ["image", "far"], "above"), ("Relu", ["above"], "seen"), ("Conv", ["seen", "kernel"], "class")]
    beside(model, *nodes, ("Add", ["sum", "class"], "logits"), far=-100, kernel=kernel)


def far_bound(model: onnx.ModelProto) -> None:
    beside(model, ("Clip", ["sum", "low", "high"], "logits"), low=-1e6, high=1e6)


def bounded_relu(model: onnx.ModelProto) -> None:
    """A bound that no value reaches, in the ReLU itself."""
    node = next(each for each in model.graph.node if each.op_type == "Relu")
    node.op_type = "Clip"
    for name, value in (("low", 0), ("high", 1e6)):
        model.graph.initializer.append(numpy_helper.from_array(np.float32(value), name))
        node.input.append(name)


def square(model: onnx.ModelProto) -> None:
    beside(model, ("Mul", ["sum", "sum"], "square"), ("Mul", ["square", "tiny"], "less"),
           ("Sub", ["sum", "less"], "logits"), tiny=1e-12)  # fmt: skip


def saturation(model: onnx.ModelProto) -> None:
    """A value on a grid of its own, in a file that has none."""
    model.graph.initializer.append(numpy_helper.from_array(np.uint8(0), "zero"))
    nodes = [("QuantizeLinear", ["sum", "step", "zero"], "codes"), ("DequantizeLinear", ["codes", "step", "zero"], "c")]
    beside(model, *nodes, ("Mul", ["c", "tiny"], "less"), ("Add", ["sum", "less"], "logits"), step=50, tiny=1e-9)


def conversion(model: onnx.ModelProto) -> None:
    beside(model, ("Mul", ["sum", "tiny"], "less"), ("Add", ["sum", "zeros"], "logits"), tiny=1e-9)
    cast = helper.make_node("Cast", ["less"], ["whole"], to=onnx.TensorProto.INT32)
    model.graph.node.extend([cast, helper.make_node("Cast", ["whole"], ["zeros"], to=onnx.TensorProto.FLOAT)])


def chance(model: onnx.ModelProto) -> None:
    beside(model, ("Add", ["sum", "noise"], "logits"))
    noise = helper.make_node("RandomNormal", [], ["noise"], shape=[1, 3, 16, 16], scale=1e-6)
    model.graph.node.insert(0, noise)


def branch(model: onnx.ModelProto) -> None:
    """A branch that reads the logits, although its condition is a constant."""
    beside(model)
    model.graph.initializer.append(numpy_helper.from_array(np.array(False), "never"))
    branches = {}
    for name, kind in (("then_branch", "Neg"), ("else_branch", "Identity")):
        result = helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        branches[name] = helper.make_graph([helper.make_node(kind, ["sum"], [name])], name, [], [result])
    model.graph.node.append(helper.make_node("If", ["never"], ["logits"], **branches))


def function(model: onnx.ModelProto) -> None:
    """An operator that the file itself defines."""
    beside(model)
    body = [helper.make_node("Relu", ["x"], ["y"])]
    model.functions.append(helper.make_function("own", "Passed", ["x"], ["y"], body, [helper.make_opsetid("", 17)]))
    model.opset_import.append(helper.make_opsetid("own", 1))
    model.graph.node.append(helper.make_node("Passed", ["sum"], ["logits"], domain="own"))


PATHS: dict[str, tuple[Callable[[onnx.ModelProto], None], str]] = {
    "a path that a bright pixel opens": (bright_pixel, "3 of the operator `ReLU or bound`, the network 2"),
    "a bound that no value reaches": (far_bound, "3 of the operator `ReLU or bound`, the network 2"),
    "a bound of a ReLU": (bounded_relu, "2 of the operator `upper bound`, the network 1"),
    "a square": (square, "2 of the operator `product of two values`, the network 1"),
    "a grid": (saturation, "1 of the operator `QuantizeLinear`, the network 0"),
    "a conversion": (conversion, "1 of the operator `conversion to integers`, the network 0"),
    "chance": (chance, "1 of the operator `RandomNormal`, the network 0"),
    "a branch": (branch, "1 of the operator `If`, the network 0"),
    "an operator of the file's own": (function, "1 of the operator `own.Passed`, the network 0"),
}


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
def test_an_operator_that_shows_on_no_image_is_found(path: str, files, network: NetworkLayers, tmp_path: Path):
    change, message = PATHS[path]
    model = onnx.load(files["fp32"])
    change(model)
    onnx.save(model, tmp_path / "net.onnx")
    failures = prove(tmp_path / "net.onnx", network, [(IMAGES[:1], IMAGES[:1])], precision=Precision.FP32).failures
    assert any(message in each for each in failures), failures


@pytest.mark.slow
def test_a_dynamic_file_may_not_cut_values_off_at_a_fixed_grid(files, network: NetworkLayers, tmp_path: Path):
    model = onnx.load(files["dynamic"])
    node = next(each for each in model.graph.node if each.op_type == "DynamicQuantizeLinear")
    codes, scale, zero_point = node.output
    node.op_type, node.input[:], node.output[:] = "QuantizeLinear", [node.input[0], scale, zero_point], [codes]
    for name, value in ((scale, np.float32(0.05)), (zero_point, np.uint8(128))):
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    onnx.save(model, tmp_path / "net.onnx")
    (said,) = foreign_operators(tmp_path / "net.onnx", network, Precision.DYNAMIC, end_to_end=False)
    assert "1 of the operator `QuantizeLinear`, the network 0" in said


HONEST_LAYERS = [
    *("InputLayer", "Conv2D", "BatchNormalization", "relu", "MaxPooling2D", "Conv2D", "relu6", "AveragePooling2D"),
    *("UpSampling2D", "Conv2D", "LeakyReLU", "GlobalAveragePooling2D", "Conv2D", "sigmoid", "Multiply", "Add"),
    *("Concatenate", "Conv2DTranspose", "Conv2D", "linear"),
]


def keras_file(layers: list[str], path: Path, **config: object) -> Path:
    """A Keras file as far as its layers are described; words in lower case are activations."""
    described = [
        {
            "class_name": "Activation" if name.islower() else name,
            "config": {"activation": name} if name.islower() else {},
        }
        for name in layers
    ]
    described[1]["config"] |= config
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Functional", "config": {"layers": described}}))
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "config", "message"),
    [
        ([], {}, ""),
        (["relu"], {}, "3 of the operator `ReLU or bound`, the network 2"),
        (["ReLU"], {}, "1 of the operator `ReLU`, the network 0"),
        (["Multiply"], {}, "2 of the operator `product of two values`, the network 1"),
        (["GaussianNoise"], {}, "1 of the operator `GaussianNoise`, the network 0"),
        ([], {"activation": "softplus"}, "1 of the operator `softplus`, the network 0"),
        ([], {"activation": {"class_name": "Own"}}, "1 of the operator `Own`, the network 0"),
    ],
)
def test_a_layer_too_many_in_a_keras_file_is_found(more, config, message, network: NetworkLayers, tmp_path: Path):
    path = keras_file([*HONEST_LAYERS, *more], tmp_path / "net.keras", **config)
    said = foreign_operators(path, network, Precision.FP32, end_to_end=False)
    assert len(said) == bool(message)
    assert all(message in each for each in said)
