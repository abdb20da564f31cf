from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tf_bridge.certify.weight_check import check_weights, stored_weights
from tf_bridge.conversion import Conversion
from tf_bridge.onnx import quantize
from tf_bridge.tflite import convert
from tf_bridge.weight_steps import Windows, best_steps, chosen_or_larger, in_half, rounded
from torchseg.modelfile.precision import Precision
from torchseg.modelfile.weights import StoredWeight

WINDOWS = Windows(kernel=(3, 5), strides=(1, 1), dilations=(1, 1), padding=((0, 0), (0, 0)), groups=1)


@pytest.mark.parametrize(
    ("groups", "strides", "dilations", "padding"),
    [
        (1, (1, 1), (1, 1), ((0, 0), (0, 0))),
        (2, (2, 1), (1, 2), ((1, 0), (3, 2))),
        (4, (3, 2), (2, 1), ((0, 4), (1, 1))),
    ],
)
def test_patches_are_what_a_convolution_multiplies_with_its_weights(groups, strides, dilations, padding):
    random = np.random.default_rng(0)
    image = random.normal(size=(4, 11, 12)).astype(np.float32)
    weights = random.normal(size=(8, 4 // groups, 3, 5)).astype(np.float32)
    windows = replace(WINDOWS, groups=groups, strides=strides, dilations=dilations, padding=padding)
    patches = windows.patches(image, random)
    products = np.matmul(weights.reshape(groups, 8 // groups, -1), patches).reshape(8, -1)
    (top, bottom), (left, right) = padding
    padded = nn.functional.pad(torch.from_numpy(image)[None], (left, right, top, bottom))
    results = nn.functional.conv2d(padded, torch.from_numpy(weights), None, strides, 0, dilations, groups)
    pixels = results[0].reshape(8, -1).numpy()
    for product in products.T:
        assert np.abs(pixels - product[:, None]).max(axis=0).min() < 1e-4


@given(seed=st.integers(0, 2**32 - 1), size=st.sampled_from([(1, 6, 9), (6, 1, 9), (2, 3, 20)]))
@settings(max_examples=30, deadline=None)
def test_chosen_steps_never_round_worse_on_their_patches(seed, size):
    random = np.random.default_rng(seed)
    groups, outputs, count = size
    weights = random.normal(size=size).astype(np.float32)
    weights[0, 0] = 0
    patches = (random.normal(size=(groups, count, 40)) + 2).astype(np.float32)
    steps = best_steps(weights.reshape(groups * outputs, count, 1, 1), patches)
    assert steps[0] == 0
    assert (steps == steps.astype(np.float16)).all()
    chosen = np.where(steps > 0, steps, 1).reshape(groups, outputs, 1)
    usual = np.abs(weights).max(axis=2, keepdims=True) / 127
    usual[usual == 0] = 1
    assert (chosen / usual).min() > 0.9995
    assert (chosen / usual).max() < 1.0305
    errors = []
    for each in (in_half(usual), chosen):
        off = rounded(weights, each) * each - weights
        assert (np.abs(off) <= 0.516 * usual).all()
        errors.append(np.square(off @ patches).sum(axis=2))
    assert (errors[1] <= errors[0] * 1.001).all()


def _net() -> nn.Module:
    """Convolutions of every form, and of one shape with shared weights."""
    torch.manual_seed(0)
    shared = nn.Conv2d(12, 12, 1, groups=3)
    layers = [
        nn.Sequential(nn.Conv2d(3, 12, 3, stride=2, padding=1), nn.ReLU6()),
        nn.Sequential(nn.Conv2d(12, 12, 3, padding=2, dilation=2, groups=12), nn.ReLU6()),
        nn.Sequential(nn.Conv2d(12, 12, (3, 5), padding=(1, 2), groups=3, bias=False), nn.ReLU6()),
        *(shared, nn.ReLU6(), shared, nn.ReLU6()),
        nn.ConvTranspose2d(12, 3, 2, stride=2),
    ]
    network = nn.Sequential(*layers)
    with torch.no_grad():
        depthwise = network[1][0].weight
        depthwise[3] = 0  # a pruned channel
        depthwise[4] = torch.where(depthwise[4] > 0, 0.1, -0.07)  # a clustered one
    return network.eval()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_int8_files_compute_more_exactly_with_chosen_steps(
    kind, tmp_path: Path, spec, images, onnx_predict, tflite_predict, monkeypatch
):
    if kind == "tflite":
        pytest.importorskip("tensorflow")
    network, usual, chosen = _net(), tmp_path / f"usual.{kind}", tmp_path / f"chosen.{kind}"
    Conversion(network, spec).write(chosen, precision=Precision.INT8, calibration=images)
    with monkeypatch.context() as patch:
        patch.setattr(quantize if kind == "onnx" else convert, "measure_steps", lambda *_: {})
        Conversion(network, spec).write(usual, precision=Precision.INT8, calibration=images)
    predict = onnx_predict if kind == "onnx" else tflite_predict
    with torch.no_grad():
        read = network[0](torch.from_numpy(images))
        expected = network(torch.from_numpy(images)).numpy()
        errors = [_error(network[1][0], _depthwise(path), read) for path in (usual, chosen)]
    assert errors[1] < errors[0] / 2
    off = [np.square(predict(path)(images) - expected).mean() for path in (usual, chosen)]
    assert off[1] < 1.2 * off[0]
    assert check_weights(chosen, Conversion(network, spec).layers).failures == ()
    rows = _depthwise(chosen).rows
    assert not rows[3].any()
    assert len(np.unique(rows[4])) == 2


def test_a_chosen_step_that_is_a_little_too_small_for_the_bias_gives_way():
    chosen = np.full(3, 1e-10, np.float32)
    stored = np.float32(1.005) * chosen
    bias = np.array([0.1, 0.0, 0.3], np.float32)  # 1e9, 0 and 3e9 steps
    assert (chosen_or_larger(chosen, stored, bias, 1.0) == [chosen[0], chosen[1], stored[2]]).all()
    assert (chosen_or_larger(chosen, stored, None, 1.0) == chosen).all()


class TinyValues(nn.Module):
    """A layer that reads values so small that 32 bits cannot count the bias in usual steps."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 3, 1)
        with torch.no_grad():
            self.first.weight *= 1e-9
            self.first.bias.zero_()
            self.second.bias.copy_(torch.tensor([1.0, -2.0, 3.0]))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.second(torch.relu(self.first(image)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_steps_that_a_quantizer_enlarged_for_the_bias_stay(
    kind, tmp_path: Path, spec, images, onnx_predict, tflite_predict
):
    if kind == "tflite":
        pytest.importorskip("tensorflow")
    network, path = TinyValues().eval(), tmp_path / f"net.{kind}"
    Conversion(network, spec).write(path, precision=Precision.INT8, calibration=images)
    predict = onnx_predict if kind == "onnx" else tflite_predict
    with torch.no_grad():
        expected = network(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(predict(path)(images), expected, atol=0.05)


def _depthwise(path: Path) -> StoredWeight:
    return next(each for each in stored_weights(path) if each.rows.shape == (12, 9))


def _error(layer: nn.Conv2d, stored: StoredWeight, read: torch.Tensor) -> float:
    """Mean square of what the rounded weights change in the results of a layer."""
    off = torch.from_numpy(stored.values).reshape(layer.weight.shape) - layer.weight
    return float(nn.functional.conv2d(read, off, None, 1, layer.padding, layer.dilation, layer.groups).square().mean())
