from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tf_bridge.conversion import Conversion
from tf_bridge.tracing import trace
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

NORM = "aten._native_batch_norm_legit_no_training.default"
IMAGE = torch.randn(1, 4, 6, 8, generator=torch.Generator().manual_seed(0))


def normed(channels: int = 6, *, bias: bool = True, groups: int = 1, affine: bool = True) -> nn.Sequential:
    """A transposed convolution and a batch norm whose channels differ."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        convolution = nn.ConvTranspose2d(
            4, channels, 3, stride=2, padding=1, output_padding=1, groups=groups, bias=bias
        )
        norm = nn.BatchNorm2d(channels, affine=affine)
        for tensor in (norm.running_mean, norm.running_var, *norm.parameters()):
            nn.init.uniform_(tensor, 0.2, 3)
    return nn.Sequential(convolution, norm).eval()


def traced(network: nn.Module) -> tuple[int, float]:
    """How many batch norms are left in the program, and its largest error."""
    before = {name: value.clone() for name, value in network.state_dict().items()}
    program = trace(network, IMAGE)
    with torch.no_grad():
        error = (program.module()(IMAGE) - network(IMAGE)).abs().max().item()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    return sum(str(node.target) == NORM for node in program.graph.nodes), error


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("groups", "affine"), [(1, True), (2, True), (1, False)])
def test_a_norm_becomes_part_of_the_transposed_convolution(bias: bool, groups: int, affine: bool) -> None:
    norms, error = traced(normed(bias=bias, groups=groups, affine=affine))
    assert norms == 0
    assert error < 1e-5


def test_a_norm_stays_where_something_else_reads_the_convolution_or_its_weights_are_shared_or_computed() -> None:
    class Read(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.norm = normed()

        def forward(self, image: Tensor) -> Tensor:
            larger = self.up(image)
            return self.norm(larger) * larger

    class Twice(Read):
        def forward(self, image: Tensor) -> Tensor:
            return self.norm(self.up(image)) + self.norm(self.up(-image))

    class Computed(Read):
        def forward(self, image: Tensor) -> Tensor:
            return self.norm(nn.functional.conv_transpose2d(image, self.up.weight * image.mean(), self.up.bias))

    for network, norms in ((Read(), 1), (Twice(), 2), (Computed(), 1)):
        assert traced(network.eval()) == (norms, pytest.approx(0, abs=1e-5))


class Decoder(nn.Module):
    """Halves the image and doubles it again."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.up, self.head = nn.Conv2d(3, 4, 3, 2, 1), normed(), nn.Conv2d(6, 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(torch.relu(self.up(torch.relu(self.stem(image)))))


@pytest.mark.slow
@pytest.mark.tflite
def test_an_int8_tflite_file_has_no_arithmetic_of_its_own_for_the_norm(
    tmp_path: Path, spec: ImageSpec, images, operators_of
) -> None:
    pytest.importorskip("tensorflow")
    conversion, path = Conversion(Decoder().eval(), spec), tmp_path / "net.tflite"
    conversion.write(path, precision=Precision.INT8, calibration=images)
    assert not {"ADD", "MUL"} & set(operators_of(path)[0])
    shown = [(images[:1], images[:1])]
    assert conversion.prove(path, shown, precision=Precision.INT8, calibration=images).failures == ()
    conversion.write(tmp_path / "net.onnx", precision=Precision.INT8, calibration=images)
    proof = conversion.prove(tmp_path / "net.onnx", shown, precision=Precision.INT8, calibration=images)
    assert proof.failures == ()
    assert np.isfinite(proof.numbers["arithmetic"]["noise_ratio"])
