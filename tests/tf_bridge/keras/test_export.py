"""A Keras file holds the network in plain layers, named as in PyTorch, and any Keras opens it in its safe mode."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tf_bridge.certify.file_layers import file_layers
from tf_bridge.certify.first_difference import first_difference
from tf_bridge.certify.network_layers import NetworkLayers
from tf_bridge.certify.proof import prove
from tf_bridge.conversion import Conversion
from tf_bridge.keras.export import export_keras
from tf_bridge.lowering.unsupported import UnsupportedOperatorError
from tf_bridge.tracing import export_program
from torchseg.modelfile.model_file import ModelFile
from torchseg.modelfile.precision import Precision
from torchseg.models import build_model
from torchseg.spec import ImageSpec

pytestmark = [pytest.mark.tflite, pytest.mark.slow]
pytest.importorskip("tensorflow")


def opened(path: Path):
    import keras

    return keras.models.load_model(path, compile=False, safe_mode=True)


def logits_of(path: Path, images) -> np.ndarray:
    found = opened(path)(images.transpose(0, 2, 3, 1), training=False)
    return np.asarray(found).transpose(0, 3, 1, 2)


class Layers(nn.Module):
    """The layers that the tiny network of the other tests lacks."""

    def __init__(self) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(3, 6, 3, padding=2, dilation=2, groups=3)
        self.grouped = nn.Conv2d(6, 6, 3, stride=2, padding=1, groups=2)
        self.norm = nn.BatchNorm2d(6)
        self.up = nn.ConvTranspose2d(6, 6, 2, stride=2)
        self.wide = nn.ConvTranspose2d(6, 6, 3, stride=2, padding=1, output_padding=1)
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(6, 6, 1), nn.Hardswish())
        self.head = nn.Conv2d(6, 3, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        features = self.norm(functional.relu6(self.grouped(self.depthwise(image))))
        features = functional.leaky_relu(self.up(features) - self.wide(features), 0.1)
        features = features * self.squeeze(features) / 2 + features.mean(1, True) * torch.tanh(features.amax(1, True))
        small = functional.avg_pool2d(functional.pad(features, (1, 1, 0, 0)), 2)
        wide = functional.interpolate(small, size=features.shape[2:], mode="bilinear")
        return self.head(
            functional.silu(wide + functional.interpolate(functional.max_pool2d(features, 2), scale_factor=2))
        )


@pytest.mark.parametrize("batch", [1, 4])
def test_the_file_computes_what_the_network_computes_for_any_number_of_images(
    batch: int, network: nn.Module, spec: ImageSpec, images, torch_predict, tmp_path: Path
) -> None:
    export_keras(network, spec, tmp_path / "net.keras")
    expected = torch_predict(network)(images[:batch])
    assert np.abs(logits_of(tmp_path / "net.keras", images[:batch]) - expected).max() <= 1e-5 * np.ptp(expected)


def test_every_kind_of_layer_is_translated(spec: ImageSpec, images, torch_predict, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Layers().eval()
    network.norm.running_mean.uniform_(-1, 1)
    network.norm.running_var.uniform_(0.5, 2)
    export_keras(network, spec, tmp_path / "net.keras")
    expected = torch_predict(network)(images)
    assert np.abs(logits_of(tmp_path / "net.keras", images) - expected).max() <= 1e-5 * np.ptp(expected)


def test_layers_are_those_of_keras_named_as_in_pytorch(network: nn.Module, spec: ImageSpec, tmp_path: Path) -> None:
    export_keras(network, spec, tmp_path / "net.keras")
    kinds = {layer.name: type(layer) for layer in opened(tmp_path / "net.keras").layers}
    assert kinds["stem.0.conv2d"].__name__ == "Conv2D"
    assert kinds["stem.1.batch_norm"].__name__ == "BatchNormalization"
    assert kinds["logits"].__name__ == "Activation"
    assert {kind.__module__.split(".")[:3].__repr__() for kind in kinds.values()} == {"['keras', 'src', 'layers']"}


def test_the_file_says_what_it_takes_gives_and_means(network: nn.Module, spec: ImageSpec, tmp_path: Path) -> None:
    export_keras(network, spec, tmp_path / "net.keras")
    file = ModelFile(tmp_path / "net.keras")
    assert [each.to_dict() for each in file.inputs] == [
        {"name": "image", "shape": [None, 16, 24, 3], "type": "float32"}
    ]
    assert [each.to_dict() for each in file.outputs] == [
        {"name": "logits", "shape": [None, 16, 24, 3], "type": "float32"}
    ]
    assert (file.layout, file.precision, file.image_size) == ("NHWC", "fp32", (16, 24))
    assert file.spec == spec


def test_the_same_network_gives_the_same_bytes(network: nn.Module, spec: ImageSpec, tmp_path: Path) -> None:
    conversion = Conversion(network, spec)
    conversion.write(tmp_path / "first.keras")
    conversion.write(tmp_path / "second.keras")
    assert (tmp_path / "first.keras").read_bytes() == (tmp_path / "second.keras").read_bytes()


def test_a_certificate_can_prove_it(network: nn.Module, spec: ImageSpec, images, tmp_path: Path) -> None:
    export_keras(network, spec, tmp_path / "net.keras")
    layers = NetworkLayers(export_program(network, spec))
    proof = prove(tmp_path / "net.keras", layers, [(images[:1], images[:1])], precision=Precision.FP32)
    assert (proof.failures, proof.numbers["weights"]["checked"]) == ((), 4)
    found = file_layers(tmp_path / "net.keras", images[:1])
    assert found["stem.2/relu"].shape == (1, 8, 16, 24)


def test_a_changed_weight_is_found_and_its_layer_named(
    network: nn.Module, spec: ImageSpec, images, tmp_path: Path
) -> None:
    program = export_program(network, spec)
    with torch.no_grad():
        network.down[1].weight[3] *= 1.2
    export_keras(network, spec, tmp_path / "net.keras")
    pair = [(images[:1], images[:1])]
    failure = prove(tmp_path / "net.keras", NetworkLayers(program), pair, precision=Precision.FP32).failures[0]
    assert "weights of layer `down.1` are not the network's: 1 of 8 channels" in failure
    found = first_difference(program, tmp_path / "net.keras", images[:1], precision=Precision.FP32)
    assert found is not None
    assert found.layer == "down.1"


def test_a_network_of_this_project_goes_on_in_keras_with_its_batch_norm_at_rest(
    spec: ImageSpec, images, tmp_path: Path
) -> None:
    network = build_model("small_unet", {"base_width": 2, "depth": 1}, spec)
    export_keras(network.eval(), spec, tmp_path / "net.keras")
    model = opened(tmp_path / "net.keras")
    pixels = images.transpose(0, 2, 3, 1)
    np.testing.assert_allclose(model(pixels, training=True), model(pixels, training=False), atol=1e-6)
    assert model.trainable_weights


class Rolled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, 3, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(torch.roll(image, 1, 1) + torch.sin(image))


def test_an_operator_without_a_layer_is_named_with_what_works(spec: ImageSpec, tmp_path: Path) -> None:
    with pytest.raises(
        UnsupportedOperatorError, match=r"^operator \w+ in layer 'forward': Keras has no layer.*onnx or"
    ):
        export_keras(Rolled().eval(), spec, tmp_path / "net.keras")
    assert Conversion(Rolled().eval(), spec).refusal("keras").endswith("export this network to onnx or tflite")
    assert not list(tmp_path.iterdir())


def test_a_keras_file_is_fp32_alone(network: nn.Module, spec: ImageSpec, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a Keras file is fp32, and fp16 came; give fp32, or"):
        Conversion(network, spec).write(tmp_path / "net.keras", precision=Precision.FP16)
