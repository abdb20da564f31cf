from collections import OrderedDict

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from tf_bridge.onnx.export import check_onnx, onnx_graph
from tf_bridge.onnx.failures import one_message
from tf_bridge.onnx.quantize import convert_onnx
from tf_bridge.tracing import export_program
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec


def model() -> onnx.ModelProto:
    """A convolution `head` that reads a tensor nobody makes."""
    weight = numpy_helper.from_array(np.ones((3, 3, 1, 1), np.float32), "head.weight")
    node = helper.make_node("Conv", ["lost", "head.weight"], ["logits"], name="node_conv2d")
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 4, 4]) for name in ("image", "logits")]
    return helper.make_model(helper.make_graph([node], "net", values[:1], values[1:], [weight]))


def test_a_complaint_of_the_checker_names_the_layer_and_the_way_out() -> None:
    with pytest.raises(
        ValueError, match=r"check of the fp32 .* fails at layer 'head \(Conv\)' \(.*\); replace that layer"
    ):
        check_onnx(model(), Precision.FP32)


@pytest.mark.parametrize("error", [AssertionError("scale issue"), KeyError("a"), RuntimeError("first\nsecond")])
def test_any_error_becomes_one_line(error: Exception) -> None:
    with (
        pytest.raises(ValueError, match=r"^quantizing fails \(.+\); use fp32$"),
        one_message("quantizing", model(), advice="use fp32"),
    ):
        raise error


@pytest.mark.parametrize("error", [ImportError("onnx"), OSError("disk full"), MemoryError()])
def test_what_is_not_the_networks_fault_passes_through(error: Exception) -> None:
    with pytest.raises(type(error)), one_message("quantizing", model(), advice="use fp32"):
        raise error


class _Overflow(nn.Module):
    """Leaves the range of float32 although its weights are finite."""

    def __init__(self) -> None:
        super().__init__()
        self.big, self.head = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        nn.init.constant_(self.big.weight, 1e38)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.big(100 * image.abs()))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_values_that_are_not_finite_are_found_while_calibrating(seed: int, spec: ImageSpec, images) -> None:
    """ONNX Runtime's quantizer stumbles over them with some weights of the last layer, and with others it does not."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        graph = onnx_graph(export_program(_Overflow(), spec))
    with pytest.raises(ValueError, match=r"layer 'big' \(Conv\) gives values that are not finite on the calibration"):
        convert_onnx(graph, Precision.INT8, images)


@pytest.mark.slow
def test_an_operator_without_translation_is_named_with_its_layer(spec: ImageSpec) -> None:
    class Odd(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return image + torch.linalg.matrix_exp(image[:, :, :16, :16]).mean()

    with pytest.raises(ValueError, match=r"layer 'odd' \(aten.linalg_matrix_exp.default\) cannot be exported to ONNX"):
        onnx_graph(export_program(nn.Sequential(OrderedDict(odd=Odd())), spec))
