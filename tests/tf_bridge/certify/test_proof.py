"""The proof of the layers of honest files; files that were tampered with are in the tests of `verify`."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from tf_bridge.certify.file_layers import Grid, open_layers
from tf_bridge.certify.layer_check import measure_layers, on_grid
from tf_bridge.certify.network_layers import NetworkLayers
from tf_bridge.certify.proof import MAX_SHARE, prove, prove_layers
from tf_bridge.certify.weight_check import check_weights, simulated_weights, stored_weights
from tf_bridge.onnx.export import export_onnx, onnx_graph
from tf_bridge.onnx.quantize import convert_onnx
from tf_bridge.tracing import export_program
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

TINY = ImageSpec(height=1, width=1, classes=("a", "b", "c"))
SPEC = ImageSpec(height=16, width=24, classes=("background", "body", "rim"))


class Shared(nn.Module):
    """A grouped transposed convolution, a linear layer, and a convolution with batch norm that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.up = nn.ConvTranspose2d(4, 4, 2, stride=2, groups=2, bias=False)
        self.mix = nn.Linear(4, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        half = nn.functional.avg_pool2d(image, 2)
        features = self.up(self.norm(self.conv(half)) + self.norm(self.conv(-half)))
        return self.mix(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    model = Shared().eval()
    model.norm.running_var.uniform_(0.5, 2)
    model.norm.weight.data.uniform_(0.5, 2)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16, Precision.DYNAMIC, Precision.INT8])
def test_every_kind_of_weight_is_compared(precision: Precision, network: nn.Module, tmp_path: Path) -> None:
    images = np.random.default_rng(0).normal(size=(4, 3, 16, 24)).astype(np.float32)
    path = tmp_path / "net.onnx"
    export_onnx(network, SPEC, path, precision=precision, calibration=images)
    layers = NetworkLayers(export_program(network, SPEC))
    assert [kernel.layer for kernel in layers.kernels] == ["conv", "conv", "up", "mix"]
    proof = prove_layers(path, layers, [(images[:1], images[:1])], precision=precision, ranges=layers.ranges(images))
    assert proof.failures == ()
    assert proof.numbers["weights"]["checked"] == 3
    unproven = ["aten.linear.default", "aten.neg.default", "aten.permute.default"]
    assert prove(path, layers, [], precision=precision).numbers == {"not_checked_because_of": unproven}


def noisy_images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(1, 3, 16, 24)).astype(np.float32)


def flat_images() -> np.ndarray:
    """One colour and a few other pixels, which set a range whose steps do not meet zero."""
    images = np.full((1, 3, 16, 24), -2.1, np.float32)
    images[:, :, :1, :3] = [2.64, -2.63, 0.7]
    return images


@pytest.fixture
def normed() -> nn.Module:
    """A convolution with batch norm of both signs, some channels ten times stronger than others, and one of zeros."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(16)
    norm.weight.data.copy_(torch.logspace(-0.5, 0.5, 16) * torch.tensor([1.0, -1.0]).repeat(8))
    norm.weight.data[3] = 0
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), norm, nn.ReLU(), nn.Conv2d(16, 3, 3, padding=1)).eval()


@pytest.mark.slow
@pytest.mark.parametrize("images", [noisy_images(), flat_images()], ids=["noise", "flat"])
def test_a_dynamic_file_is_as_far_off_as_its_simulation(images: np.ndarray, normed: nn.Module, tmp_path: Path) -> None:
    path, layers = tmp_path / "net.onnx", NetworkLayers(export_program(normed, SPEC))
    export_onnx(normed, SPEC, path, precision=Precision.DYNAMIC)
    weights = simulated_weights(layers, check_weights(path, layers))
    assert 0.9 < measure_layers(layers, open_layers(path), [(images, images)], weights).noise_ratio < 1.1


@pytest.mark.slow
@pytest.mark.parametrize("precision", [Precision.DYNAMIC, Precision.INT8])
def test_simulated_weights_are_those_of_the_file(precision: Precision, normed: nn.Module, tmp_path: Path) -> None:
    path, layers = tmp_path / "net.onnx", NetworkLayers(export_program(normed, SPEC))
    export_onnx(normed, SPEC, path, precision=precision, calibration=noisy_images())
    weights = simulated_weights(layers, check_weights(path, layers))
    for kernel, stored in zip(layers.kernels, stored_weights(path), strict=True):
        folded = weights[kernel.parameter].reshape(stored.rows.shape) * kernel.factor[:, None]
        np.testing.assert_allclose(folded, stored.values, atol=1e-5)


class Gated(nn.Module):
    """Logits times a gate that is computed from global averages, all of whose channels are nearly the same."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 16, 3, padding=1)
        self.head = nn.Conv2d(16, 3, 1)
        self.gate = nn.Conv2d(16, 3, 1)
        with torch.no_grad():
            self.gate.weight[1:] = self.gate.weight[:1] + 1e-3 * self.gate.weight[1:]
            self.gate.bias.zero_()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        features = torch.relu(self.features(image))
        gate = self.gate(nn.functional.adaptive_avg_pool2d(features, 1))
        return self.head(features) * torch.sigmoid(gate)


@pytest.mark.slow
def test_a_gate_may_be_off_by_a_step_of_what_it_reads(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, path, images = Gated().eval(), tmp_path / "net.onnx", noisy_images()
    layers = NetworkLayers(export_program(network, SPEC))
    export_onnx(network, SPEC, path, precision=Precision.DYNAMIC)
    assert layers.unproven == []
    errors = measure_layers(
        layers, open_layers(path), [(images, images)], {"gate.weight": network.gate.weight.numpy(force=True)}
    )
    assert MAX_SHARE[Precision.DYNAMIC] < errors.shares["gate/conv2d"] <= errors.pooled["gate/conv2d"]
    assert prove_layers(path, layers, [(images, images)], precision=Precision.DYNAMIC).failures == ()


@pytest.mark.slow
def test_weights_of_another_network_are_named(network: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    export_onnx(network, SPEC, path)
    torch.manual_seed(1)
    other = Shared().eval()
    check = check_weights(path, NetworkLayers(export_program(other, SPEC)))
    assert {failure.split("`")[1] for failure in check.failures} == {"conv", "up", "mix"}


def test_values_are_rounded_to_the_grid_and_cut_off_at_its_ends() -> None:
    grid = Grid(step=0.5, low=-1.0, high=2.0)
    assert on_grid(np.float32([-3, -0.6, 0.2, 0.3, 9]), grid).tolist() == [-1, -0.5, 0, 0.5, 2]


def test_values_without_bounds_are_errors_without_bounds() -> None:
    values = {"conv/conv2d": np.float32([[[[3e38]], [[-3e38]], [[np.inf]]]])}
    damaged = SimpleNamespace(grids={}, run=lambda image: dict(values))
    network = NetworkLayers(export_program(nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 3, 1))).eval(), TINY))
    image = np.zeros((1, 3, 1, 1), np.float32)
    assert measure_layers(network, damaged, [(image, image)], {}).file_noise == np.inf


@pytest.mark.slow
def test_a_channel_below_the_smallest_normal_half_is_held_as_exactly_as_halves_can(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 1)).eval()
    with torch.no_grad():
        network[0].weight[5] *= 4e-5 / network[0].weight[5].abs().max()
    path = tmp_path / "net.onnx"
    plain = onnx_graph(export_program(network, SPEC))
    path.write_bytes(convert_onnx(plain, Precision.FP16, None).SerializeToString())
    layers = NetworkLayers(export_program(network, SPEC))
    assert check_weights(path, layers).failures == ()
    with torch.no_grad():
        network[0].weight[5] *= 1.01
    assert "1 of 8 channels" in check_weights(path, NetworkLayers(export_program(network, SPEC))).failures[0]
