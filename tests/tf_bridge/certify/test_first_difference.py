"""Files that were tampered with: each fails its certificate, and the first layer that differs is the guilty one."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tf_bridge.certify.certificate import Evidence, make_certificate
from tf_bridge.certify.first_difference import FirstDifference, first_difference, reference_layers
from tf_bridge.certify.parity import compare
from tf_bridge.certify.verdict import verdict
from tf_bridge.tracing import export_program
from torchseg.harness.runtimes.registry import open_runtime
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

pytestmark = [pytest.mark.tflite, pytest.mark.slow]
pytest.importorskip("tensorflow")

SPEC = ImageSpec(height=16, width=24, classes=("background", "body", "rim"))
FILES = [(kind, precision) for kind in ("onnx", "tflite") for precision in (Precision.FP32, Precision.INT8)]


# Tracing a network takes most of the time of a comparison, and the same few come again and again.
traced = functools.cache(lambda network: export_program(network, SPEC))


def other_channels(network: nn.Module) -> None:
    network.stem[0].weight.data = network.stem[0].weight.data[:, [2, 1, 0]]


def other_corners(network: nn.Module) -> None:
    class Corners(nn.Module):
        def __init__(self, project: nn.Module) -> None:
            super().__init__()
            self.project = project

        def forward(self, features: Tensor) -> Tensor:
            return functional.interpolate(self.project(features), scale_factor=2.0, mode="bilinear", align_corners=True)

    network.up[0] = Corners(network.up[0].project)


def other_epoch(network: nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    for layer in (network.down[0][1][3], network.head):
        layer.weight.data += 0.1 * layer.weight.std() * torch.randn(layer.weight.shape, generator=generator)


@pytest.fixture(scope="module")
def promised(learnt: nn.Module) -> Callable[[str], tuple[nn.Module, str]]:
    """The network that a file should compute, whose layer was tampered with; the files were made from `learnt`."""

    @functools.cache
    def tampered(sabotage: str) -> tuple[nn.Module, str]:
        network = copy.deepcopy(learnt)
        tamper, guilty = SABOTAGE[sabotage]
        tamper(network)
        return network, guilty

    return tampered


SABOTAGE: dict[str, tuple[Callable[[nn.Module], None], str]] = {
    "input channels swapped": (other_channels, "stem.0"),
    "resized by the other corner rule": (other_corners, "up.0"),
    "weights of another epoch": (other_epoch, "down.0.1.3"),
}


@pytest.fixture
def judged(riddle, torch_predict) -> Callable[..., tuple[list[str], FirstDifference | None]]:
    """What a certificate says of a file held against a network, and the layer that it would name."""
    images, masks = riddle

    def judge(reference: nn.Module, path: Path, precision: Precision, predict: Callable):
        parity = compare(torch_predict(reference), predict(path), images, masks, num_classes=3)
        difference = first_difference(traced(reference), path, images[[parity.worst_image]], precision=precision)
        return verdict(parity, precision), difference

    return judge


@pytest.fixture
def predicts(onnx_predict: Callable, tflite_predict: Callable) -> dict[str, Callable]:
    return {"onnx": onnx_predict, "tflite": tflite_predict}


@pytest.mark.parametrize(("kind", "precision"), FILES)
def test_an_honest_file_differs_nowhere(kind: str, precision: Precision, learnt, learnt_files, predicts, judged):
    failures, difference = judged(learnt, learnt_files[kind, precision], precision, predicts[kind])
    assert failures == []
    assert difference is None


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
@pytest.mark.parametrize("sabotage", SABOTAGE)
def test_the_guilty_layer_is_named(sabotage: str, kind: str, promised, learnt_files, predicts, judged):
    network, guilty = promised(sabotage)
    failures, difference = judged(network, learnt_files[kind, Precision.FP32], Precision.FP32, predicts[kind])
    assert failures != []
    assert guilty in (difference.layer, *difference.also)


def test_a_wrong_zero_point_is_found_in_onnx(learnt, learnt_files, tmp_path, onnx_predict, judged):
    path = tmp_path / "net.onnx"
    shift_onnx(learnt_files["onnx", Precision.INT8], path, "stem.2/relu")
    failures, difference = judged(learnt, path, Precision.INT8, onnx_predict)
    assert "mean IoU drops by" in failures[0]
    assert (difference.layer, difference.operator) == ("stem.2", "relu")


def test_a_wrong_zero_point_is_refused_in_tflite(learnt_files, tmp_path):
    """One zero point serves who writes codes and who reads them; where codes pass through, LiteRT wants both equal."""
    path = tmp_path / "net.tflite"
    with edited(learnt_files["tflite", Precision.INT8], path) as tensors:
        tensors["up.0/upsample_bilinear2d"].quantization.zeroPoint[0] += 10
    with pytest.raises(ValueError, match=r"is not a TFLite file that LiteRT can open: .*RESIZE_BILINEAR"):
        open_runtime(path)


def test_a_wrong_scale_is_found_in_tflite(learnt, learnt_files, tmp_path, tflite_predict, judged):
    path = tmp_path / "net.tflite"
    with edited(learnt_files["tflite", Precision.INT8], path) as tensors:
        for name, tensor in tensors.items():
            if "stem.0/conv2d" in name and len(tensor.quantization.scale) > 1:  # weights and bias of its channels
                tensor.quantization.scale[0] *= 10
    failures, difference = judged(learnt, path, Precision.INT8, tflite_predict)
    assert "mean IoU drops by" in failures[0]
    assert "stem.0" in (difference.layer, *difference.also)


def shift_onnx(source: Path, target: Path, layer: str) -> None:
    """What reads the tensor's codes takes a zero point that is 10 off."""
    model = onnx.load(source)
    name = f"{layer}_zero_point"
    (zero_point,) = (tensor for tensor in model.graph.initializer if tensor.name == name)
    shifted = onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(zero_point) + np.uint8(10), "shifted")
    model.graph.initializer.append(shifted)
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[2] == name:
            node.input[2] = "shifted"
    onnx.save(model, target)


@contextmanager
def edited(source: Path, target: Path) -> Iterator[dict[str, Any]]:
    """The tensors of a TFLite file by name, to be changed on the way to the copy."""
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(source))
    yield {tensor.name.decode(): tensor for tensor in model.subgraphs[0].tensors}
    flatbuffer_utils.write_model(model, str(target))


def test_a_failing_certificate_says_where_the_file_begins_to_differ(
    promised, learnt_files, riddle, onnx_predict, torch_predict
):
    network, _ = promised("resized by the other corner rule")
    path, (images, masks) = learnt_files["onnx", Precision.FP32], riddle
    parity = compare(torch_predict(network), onnx_predict(path), images, masks, num_classes=3)
    difference = first_difference(traced(network), path, images[:1], precision=Precision.FP32)
    evidence = Evidence(checkpoint_sha256="", image_names=list("abcd"), images_sha256="", runtimes={})
    certificate = make_certificate(path, SPEC, parity, evidence, precision=Precision.FP32, first_difference=difference)
    assert certificate["first_difference"]["layer"] == "up.0"
    assert "first differs at layer `up.0`, operator upsample_bilinear2d" in certificate["verdict"]["failures"][-1]
    json.dumps(certificate, allow_nan=False)


def test_a_file_of_other_names_is_refused(convolution_file: Path, spec: ImageSpec, tmp_path: Path) -> None:
    model = onnx.load(convolution_file)
    model.graph.output[0].name = model.graph.node[-1].output[0] = "anything"
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(ValueError, match="names no layer of the network; export it again"):
        first_difference(
            export_program(nn.Conv2d(3, 3, 3, padding=1), spec),
            tmp_path / "net.onnx",
            np.zeros((1, 3, 16, 24), np.float32),
            precision=Precision.FP32,
        )


def test_a_network_that_ends_with_a_branch_has_no_layer_for_its_logits(spec: ImageSpec) -> None:
    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

        def forward(self, image: Tensor) -> Tensor:
            return torch.cond(self.one(image).sum() > 0, self.one, self.other, (image,))

    image = np.ones((1, 3, spec.height, spec.width), np.float32)
    found = reference_layers(export_program(Branch(), spec), image)
    assert found.output == ""
    assert "one/conv2d" in found.values
