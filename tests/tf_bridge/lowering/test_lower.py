import pytest
import torch
from torch import nn

from tf_bridge.lowering.lazy_tensorflow import import_tensorflow
from tf_bridge.lowering.lower import UnsupportedOperatorError, lower_program
from tf_bridge.tracing import trace

pytestmark = pytest.mark.tflite


class Spectral(nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.cumsum(image, dim=2)


def test_an_unknown_operator_is_named_with_its_layer_and_what_to_do() -> None:
    network = nn.Sequential(nn.ReLU(), Spectral())
    with pytest.raises(
        UnsupportedOperatorError, match=r"aten.cumsum.default in layer '1' .*Spectral.*replace that layer"
    ):
        lower_program(trace(network, torch.zeros(1, 3, 8, 8)), None)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.Softmax(dim=2), "softmax over dimension 2"),
        (nn.MaxPool2d(2, dilation=2), "max pooling with dilation"),
        (nn.Upsample(scale_factor=1.3, mode="bilinear"), "which is not a whole size; pass size="),
        (nn.ConvTranspose2d(3, 3, 2, dilation=2), "transposed convolution with dilation"),
        (nn.AdaptiveAvgPool2d(3), "adaptive pooling from"),
        (nn.CircularPad2d(1), "aten"),
    ],
)
def test_a_use_that_tflite_cannot_express_is_explained(layer: nn.Module, message: str) -> None:
    pytest.importorskip("tensorflow")
    tf = import_tensorflow()
    network = nn.Sequential(layer)
    with pytest.raises(UnsupportedOperatorError, match=message):
        lower_program(trace(network, torch.zeros(1, 3, 8, 8)), tf)(tf.zeros((1, 8, 8, 3)))


def test_the_error_is_a_value_error() -> None:
    assert issubclass(UnsupportedOperatorError, ValueError)
