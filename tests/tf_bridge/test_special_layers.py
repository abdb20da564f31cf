"""Networks with one special layer each: translated to TensorFlow they compute the same, or are refused in one line."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.special_layers import SIZE, SPECIAL_LAYERS, Applied, build_special
from tf_bridge.lowering.lazy_tensorflow import import_tensorflow
from tf_bridge.lowering.lower import UnsupportedOperatorError, lower_program
from tf_bridge.tracing import trace

pytestmark = [pytest.mark.tflite, pytest.mark.slow]

IMAGE = torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("name", SPECIAL_LAYERS)
def test_it_computes_what_pytorch_computes(name: str) -> None:
    pytest.importorskip("tensorflow")
    tf = import_tensorflow()
    network = build_special(name)
    with torch.no_grad():
        expected = network(IMAGE).numpy()
    logits = lower_program(trace(network, IMAGE), tf)(tf.constant(IMAGE.permute(0, 2, 3, 1).contiguous().numpy()))[0]
    error = np.abs(logits.numpy().transpose(0, 3, 1, 2) - expected).max()
    assert error < 1e-5 * np.ptp(expected)


def test_what_no_file_can_compute_is_refused_in_one_line() -> None:
    network = Applied(torch.rand_like)
    with pytest.raises(UnsupportedOperatorError, match=r"^operator aten\.rand_like\.default in layer .*\Z"):
        lower_program(trace(network, IMAGE), None)
