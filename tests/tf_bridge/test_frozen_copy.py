import threading

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from tf_bridge.frozen_copy import check_finite, frozen_copy

PARAMETRIZED = {
    "weight norm": parametrizations.weight_norm,
    "spectral norm": parametrizations.spectral_norm,
    "orthogonal weights": parametrizations.orthogonal,
    "spectral norm by a hook": nn.utils.spectral_norm,
}


@pytest.mark.parametrize("name", PARAMETRIZED)
def test_computed_weights_become_plain_ones(name: str) -> None:
    network = nn.Sequential(PARAMETRIZED[name](nn.Conv2d(3, 4, 1))).eval()
    image = torch.randn(1, 3, 4, 4)
    expected = network(image)
    frozen = frozen_copy(network)
    assert {key for key, _ in frozen.named_parameters()} == {"0.weight", "0.bias"}
    np.testing.assert_allclose(frozen(image).detach(), expected.detach(), atol=1e-6)
    assert len(network.state_dict()) > 2  # the original is not modified
    np.testing.assert_array_equal(network(image).detach(), expected.detach())


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_the_weights_of_the_older_weight_norm_are_copied() -> None:
    network = nn.Sequential(nn.utils.weight_norm(nn.Conv2d(3, 4, 1)))
    image = torch.randn(1, 3, 4, 4)
    expected = network(image)  # leaves a weight that copy.deepcopy refuses
    frozen = frozen_copy(network)
    assert set(frozen.state_dict()) == {"0.weight", "0.bias"}
    np.testing.assert_allclose(frozen(image).detach(), expected.detach(), atol=1e-6)


class Holder(nn.Module):
    """A layer with an attribute that `copy.deepcopy` refuses."""

    def __init__(self, attribute: object) -> None:
        super().__init__()
        self.layer, self.attribute = nn.Conv2d(3, 4, 1), attribute


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_what_cannot_be_copied_is_shared() -> None:
    def swish(x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(x)

    for attribute in (torch.jit.script(swish), threading.Lock()):
        network = nn.Sequential(Holder(attribute))
        frozen = frozen_copy(network)
        assert frozen[0].attribute is attribute
        assert frozen[0].layer.weight is not network[0].layer.weight


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("tensor", ["0.weight", "1.running_var"])
def test_a_tensor_that_is_not_finite_is_named(tensor: str, value: float) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    network.state_dict()[tensor].view(-1)[0] = value
    with pytest.raises(
        ValueError, match=rf"not finite: {tensor}; its training diverged.*give a checkpoint from before"
    ):
        frozen_copy(network)


def test_only_the_first_of_many_such_tensors_are_named() -> None:
    network = nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(3)))
    for tensor in network.state_dict().values():
        tensor.fill_(torch.nan)
    with pytest.raises(ValueError, match=r"not finite: 0.weight, 0.bias, 1.weight and 3 more"):
        check_finite(network)


def test_a_mask_of_minus_infinity_is_fine() -> None:
    network = nn.Identity()
    network.register_buffer("mask", torch.full((2, 2), -torch.inf))
    network.register_buffer("index", torch.arange(3))
    check_finite(network)
    network.get_buffer("mask")[0, 0] = torch.nan
    with pytest.raises(ValueError, match="not finite: mask"):
        check_finite(network)
