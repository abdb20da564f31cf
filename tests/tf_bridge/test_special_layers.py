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


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")  # of PyTorch, on its own checkpoints
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
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


def test_what_a_mask_hides_may_be_infinite() -> None:
    pytest.importorskip("tensorflow")
    tf = import_tensorflow()
    hidden = torch.rand(SIZE, generator=torch.Generator().manual_seed(4)) < 0.3
    network = Applied(lambda x: torch.where(hidden, float("-inf"), ((x.abs() + 1) * ~hidden).reciprocal()).softmax(-1))
    expected = network(IMAGE).numpy()
    logits = lower_program(trace(network, IMAGE), tf)(tf.constant(IMAGE.permute(0, 2, 3, 1).numpy()))[0]
    np.testing.assert_allclose(logits.numpy().transpose(0, 3, 1, 2), expected, rtol=1e-5, atol=1e-6)


REFUSED = {
    "random numbers": (torch.rand_like, "gives random numbers"),
    "gumbel softmax": (lambda x: torch.nn.functional.gumbel_softmax(x, dim=1), "gives random numbers"),
    "fourier transform": (lambda x: torch.fft.irfft2(torch.fft.rfft2(x)), "is not known"),
    "strided view": (lambda x: torch.as_strided(x, (1, 3, 8, 12), (1152, 384, 48, 2)), "is not known"),
    "several values for a mask": (lambda x: x.index_put((x > 0,), x[0, 0, 0]), "cannot be expressed"),
    "places of the image": (lambda x: x.index_put((x[0, 0, 0, :3].long() * 0,), x[0]), "cannot be expressed"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_file_can_compute_is_refused_in_one_line(name: str) -> None:
    pytest.importorskip("tensorflow")
    tf = import_tensorflow()
    function, reason = REFUSED[name]
    with pytest.raises(UnsupportedOperatorError, match=rf"^operator aten\..* in layer .* {reason}.*\Z"):
        lower_program(trace(Applied(function), IMAGE), tf)(tf.constant(IMAGE.permute(0, 2, 3, 1).numpy()))
