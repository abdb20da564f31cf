import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.special_functions import Applied
from tf_bridge.onnx.export import export_onnx
from tf_bridge.random_numbers import check_no_random_numbers
from tf_bridge.tracing import trace
from torchseg.spec import ImageSpec

IMAGE = torch.zeros(1, 3, 8, 8)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + torch.randn_like(x),
        lambda x: functional.dropout(x, 0.5, training=True),
        lambda x: functional.gumbel_softmax(x, hard=True, dim=1),
        lambda x: functional.scaled_dot_product_attention(x, x, x, dropout_p=0.5),
        lambda x: functional.rrelu(x, training=True),
    ],
)
def test_random_numbers_are_refused_with_the_name_of_the_layer(function):
    network = nn.Sequential(nn.Conv2d(3, 3, 1), Applied(function)).eval()
    with pytest.raises(
        ValueError, match=r"^operator aten\..* in layer '1' .* gives random numbers, .* make that layer"
    ):
        check_no_random_numbers(trace(network, IMAGE).graph)


@pytest.mark.parametrize(
    "function",
    [
        nn.Sequential(nn.Dropout2d(0.5), nn.AlphaDropout(0.3), nn.RReLU()).eval(),
        lambda x: functional.scaled_dot_product_attention(x, x, x),
        lambda x: (torch.rand(3), x)[1],  # drawn and not used
    ],
)
def test_layers_that_are_random_in_training_alone_are_not_refused(function):
    check_no_random_numbers(trace(Applied(function), IMAGE).graph)


def test_an_onnx_file_never_draws_random_numbers(tmp_path):
    network = Applied(lambda x: x + torch.rand_like(x))
    with pytest.raises(ValueError, match="gives random numbers"):
        export_onnx(network, ImageSpec(height=8, width=8, classes=("a", "b", "c")), tmp_path / "net.onnx")
    assert not (tmp_path / "net.onnx").exists()
