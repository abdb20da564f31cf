from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from tf_bridge.onnx.quantize import convert_onnx
from tf_bridge.quiet import quiet
from torchseg.modelfile.precision import Precision

pytestmark = pytest.mark.slow

# Largest logit error allowed, as a share of the logits' range, for a network with random weights.
ERRORS = {Precision.FP32: 1e-5, Precision.FP16: 5e-3, Precision.DYNAMIC: 0.05, Precision.INT8: 0.08}


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> dict[str, onnx.ModelProto]:
    """Filled by the first test: tracing takes most of the time."""
    return {}


@pytest.fixture
def model(traced: dict[str, onnx.ModelProto], network: nn.Module, images) -> onnx.ModelProto:
    if not traced:
        traced["model"] = in_onnx(network, images)
    return traced["model"]


@pytest.mark.parametrize("precision", Precision)
def test_the_graph_computes_what_the_network_computes(
    precision: Precision, tmp_path: Path, network: nn.Module, model, images, torch_predict, onnx_predict
) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(convert_onnx(model, precision, images).SerializeToString())
    logits = onnx_predict(path)(images)
    expected = torch_predict(network)(images)
    assert logits.dtype == np.float32
    assert np.abs(logits - expected).max() <= ERRORS[precision] * np.ptp(expected)


@pytest.mark.parametrize("precision", Precision)
def test_the_original_graph_stays_as_it_was(precision: Precision, model, images) -> None:
    before = model.SerializeToString()
    convert_onnx(model, precision, images)
    assert model.SerializeToString() == before


def test_batch_norm_is_folded(model) -> None:
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}


def test_int8_pairs_unsigned_activations_with_signed_weights_per_channel(model, images) -> None:
    graph = convert_onnx(model, Precision.INT8, images).graph
    weights = [tensor for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.INT8]
    zero_points = {tensor.name: tensor for tensor in graph.initializer if "zero_point" in tensor.name}
    activations = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    assert any(len(tensor.dims) == 4 for tensor in weights)
    assert {zero_points[node.input[2]].data_type for node in activations} == {onnx.TensorProto.UINT8}
    assert any(tensor.dims == [8] for name, tensor in zero_points.items() if "weight" in name)


def test_a_weight_beyond_float16_is_refused() -> None:
    weight = onnx.numpy_helper.from_array(np.full((2, 2), 1e5, np.float32), "heavy")
    graph = onnx.helper.make_graph([], "net", [], [], [weight])
    with pytest.raises(ValueError, match="weight heavy leaves the range of float16"):
        convert_onnx(onnx.helper.make_model(graph), Precision.FP16, None)


class _Normalised(nn.Module):
    """Two layers of each normalisation with equal weights, which the exporter stores once."""

    def __init__(self) -> None:
        super().__init__()
        norms = [nn.GroupNorm(2, 8), nn.GroupNorm(1, 8), nn.InstanceNorm2d(8, affine=True), nn.LayerNorm([8, 16, 24])]
        self.stem, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 3, 1)
        self.layers = nn.Sequential(
            *(nn.Sequential(norm, nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), norm) for norm in norms)
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(self.stem(image)))


def in_onnx(network: nn.Module, images: np.ndarray) -> onnx.ModelProto:
    names = {"input_names": ["image"], "output_names": ["logits"]}
    with quiet():
        program = torch.onnx.export(network, (torch.from_numpy(images[:1]),), dynamo=True, verbose=False, **names)
    return program.model_proto


def test_normalisations_stay_in_float_between_int8_layers(tmp_path, images, torch_predict, onnx_predict) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = _Normalised().eval()
    quantized = convert_onnx(in_onnx(network, images), Precision.INT8, images)
    held = {tensor.name: tensor.data_type for tensor in quantized.graph.initializer}
    norms = [node for node in quantized.graph.node if node.op_type.endswith("Normalization")]
    assert {node.op_type for node in norms} == {"InstanceNormalization", "LayerNormalization"}
    assert all(held[name] == onnx.TensorProto.FLOAT for node in norms for name in node.input[1:])
    (tmp_path / "net.onnx").write_bytes(quantized.SerializeToString())
    expected = torch_predict(network)(images)
    assert np.abs(onnx_predict(tmp_path / "net.onnx")(images) - expected).max() <= 0.1 * np.ptp(expected)


def test_a_grouped_transposed_convolution_keeps_its_bias(tmp_path, images, torch_predict, onnx_predict) -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 2, stride=2), nn.ConvTranspose2d(8, 6, 2, stride=2, groups=2)).eval()
    nn.init.uniform_(network[1].bias, 2, 3)
    (tmp_path / "net.onnx").write_bytes(
        convert_onnx(in_onnx(network, images), Precision.INT8, images).SerializeToString()
    )
    expected = torch_predict(network)(images)
    assert np.abs(onnx_predict(tmp_path / "net.onnx")(images) - expected).max() <= 0.08 * np.ptp(expected)


class SharedGate(nn.Module):
    """Two uses of the same two linear layers, which are not square, as in channel attention."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 3, 1)
        self.gate = nn.Sequential(nn.Linear(8, 2), nn.ReLU(), nn.Linear(2, 8))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        features = self.conv(image)
        gates = self.gate(features.mean(dim=(2, 3))) + self.gate(features.amax(dim=(2, 3)))
        return self.head(features * gates.sigmoid()[:, :, None, None])


def test_linear_layers_used_twice_are_quantized_dynamically(tmp_path: Path, torch_predict, onnx_predict) -> None:
    torch.manual_seed(0)
    gate = SharedGate().eval()
    image = np.random.default_rng(0).normal(size=(1, 3, 16, 16)).astype(np.float32)
    path = tmp_path / "net.onnx"
    path.write_bytes(convert_onnx(in_onnx(gate, image), Precision.DYNAMIC, None).SerializeToString())
    expected = torch_predict(gate)(image)
    assert np.abs(onnx_predict(path)(image) - expected).max() <= ERRORS[Precision.DYNAMIC] * np.ptp(expected)


@pytest.mark.parametrize("smallest", [1.0, 1e-3])
def test_layers_with_channels_too_different_for_one_scale_stay_in_float(smallest: float) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 1)).eval()
    with torch.no_grad():
        network[0].weight[::2] *= smallest
    image = np.random.default_rng(0).normal(size=(1, 3, 16, 16)).astype(np.float32)
    graph = convert_onnx(in_onnx(network, image), Precision.DYNAMIC, None).graph
    kinds = [node.op_type for node in graph.node if node.op_type in ("Conv", "ConvInteger")]
    assert kinds == ["ConvInteger" if smallest == 1 else "Conv", "ConvInteger"]
