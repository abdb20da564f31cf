from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tf_bridge.lowering.lazy_tensorflow import import_tensorflow
from tf_bridge.lowering.lower import UnsupportedOperatorError, lower_program
from tf_bridge.tracing import trace

pytestmark = pytest.mark.tflite


class Spectral(nn.Module):
    """Calls a function in its forward."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, image: Tensor) -> Tensor:
        return self.function(image)


UNKNOWN = {
    "aten.cummax.default": lambda x: x.cummax(dim=2)[1].float(),
    "aten.fft": lambda x: torch.fft.fft2(x).abs(),
}
UNSUPPORTED = {
    "whose weight depends on the image": lambda x: functional.conv_transpose2d(x, x[:, :, :3, :3].transpose(0, 1)),
    "unpooling of windows that overlap": lambda x: functional.max_unpool2d(
        *functional.max_pool2d(x, 3, 2, return_indices=True), 3, 2, output_size=x.shape[2:]
    ),
    "a bitwise operator on integers": lambda x: x.int() & x.int(),
    "a change to torch.uint8": lambda x: x.to(torch.uint8).float(),
    "a bicubic sampling": lambda x: functional.grid_sample(x, x[:, :2].mT.permute(0, 2, 3, 1), "bicubic"),
}


@pytest.mark.parametrize("operator", UNKNOWN)
def test_an_unknown_operator_is_named_with_its_layer_and_what_to_do(operator: str) -> None:
    network = nn.Sequential(nn.ReLU(), Spectral(UNKNOWN[operator]))
    with pytest.raises(
        UnsupportedOperatorError, match=rf"^operator {operator}.* in layer '1' .*Spectral.*replace that"
    ):
        lower_program(trace(network, torch.zeros(1, 3, 8, 8)), None)


@pytest.mark.parametrize("message", UNSUPPORTED)
def test_a_use_that_tflite_cannot_express_is_explained_in_one_line(message: str) -> None:
    pytest.importorskip("tensorflow")
    tf = import_tensorflow()
    network = nn.Sequential(Spectral(UNSUPPORTED[message]))
    with pytest.raises(UnsupportedOperatorError, match=rf"^operator aten.* in layer '0' .*{message}.*\Z"):
        lower_program(trace(network, torch.zeros(1, 3, 8, 8)), tf)(tf.zeros((1, 8, 8, 3)))


def test_what_no_output_depends_on_may_be_unknown() -> None:
    def forward(image: Tensor) -> Tensor:
        image.cummax(dim=2)
        return image.relu()

    lower_program(trace(Spectral(forward), torch.zeros(1, 3, 8, 8)), None)


def test_the_error_is_a_value_error() -> None:
    assert issubclass(UnsupportedOperatorError, ValueError)
