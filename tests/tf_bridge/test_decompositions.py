import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tf_bridge.tracing import trace

SIDES = (11, 14)
POOLS = [
    {"kernel_size": kernel, "stride": stride, "padding": padding, "ceil_mode": ceil, "count_include_pad": counted}
    for kernel, stride, padding, ceil, counted in itertools.product(
        (2, (3, 5)), (1, 2, (3, 2)), (0, 1), (False, True), (False, True)
    )
]


def outputs(network: nn.Module) -> tuple[Tensor, Tensor, list[str]]:
    """What a network and its traced program compute, and the operators of the program."""
    image = torch.randn(2, 3, *SIDES, generator=torch.Generator().manual_seed(0))
    program = trace(network, image)
    targets = [str(node.target) for node in program.graph.nodes]
    return network(image), program.module()(image), targets


def test_an_average_pooling_with_its_own_divisor_is_written_without_it() -> None:
    pools = nn.ModuleList(nn.AvgPool2d(**arguments, divisor_override=7) for arguments in POOLS)

    class Together(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return torch.cat([pool(image).flatten(1) for pool in pools], dim=1)

    expected, found, targets = outputs(Together())
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert targets.count("aten.avg_pool2d.default") == len(POOLS)
    assert targets.count("aten.mul.Tensor") == len(POOLS)


def test_a_plain_average_pooling_stays_as_it_is() -> None:
    expected, found, targets = outputs(nn.AvgPool2d(3, ceil_mode=True, count_include_pad=False))
    np.testing.assert_array_equal(found, expected)
    assert [target for target in targets if target.startswith("aten")] == ["aten.avg_pool2d.default"]


@pytest.mark.parametrize("size", [(5, 4), (11, 3), (1, 14)])
def test_an_adaptive_max_pooling_is_written_as_maxima_of_slices(size: tuple[int, int]) -> None:
    expected, found, targets = outputs(nn.AdaptiveMaxPool2d(size))
    np.testing.assert_array_equal(found, expected)
    assert "aten.adaptive_max_pool2d.default" not in targets


def test_an_adaptive_max_pooling_whose_indices_are_used_stays_as_it_is() -> None:
    class Indexed(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            values, indices = nn.functional.adaptive_max_pool2d(image, (5, 4), return_indices=True)
            return values + indices

    expected, found, targets = outputs(Indexed())
    np.testing.assert_array_equal(found, expected)
    assert "aten.adaptive_max_pool2d.default" in targets


@pytest.mark.parametrize("mask", [None, (14, 14), (2, 14, 14)])
def test_attention_without_heads_becomes_attention_with_one(mask: tuple[int, ...] | None) -> None:
    bias = None if mask is None else torch.randn(mask, generator=torch.Generator().manual_seed(1))

    class Attention(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            rows = image.mean(dim=2).transpose(1, 2)  # (B, L, E)
            return nn.functional.scaled_dot_product_attention(rows, rows, rows, bias, scale=0.5)

    class Heads(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return nn.functional.scaled_dot_product_attention(image, image, image)

    expected, found, targets = outputs(Attention())
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert targets.count("aten.unsqueeze.default") >= 3
    assert "aten.unsqueeze.default" not in outputs(Heads())[2]


@pytest.mark.parametrize("keepdim", [False, True])
def test_a_median_is_the_middle_of_the_sorted_values(keepdim: bool) -> None:
    class Median(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            even, odd = image.median(dim=3, keepdim=keepdim)[0], image.median(dim=2, keepdim=keepdim)[0]
            return torch.cat([even.flatten(1), odd.flatten(1)], dim=1)

    expected, found, targets = outputs(Median())
    np.testing.assert_array_equal(found, expected)
    assert "aten.median.dim" not in targets


def test_a_median_of_everything_and_the_kth_smallest_value_are_taken_from_sorted_values() -> None:
    class Ranked(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            third, last = image.kthvalue(3, dim=2, keepdim=True)[0], image.kthvalue(SIDES[1])[0]
            return torch.cat([third.flatten(), last.flatten(), image.median()[None]])

    expected, found, targets = outputs(Ranked())
    np.testing.assert_array_equal(found, expected)
    assert targets.count("aten.sort.default") == 3


def test_a_randomised_relu_has_its_mean_slope() -> None:
    expected, found, targets = outputs(nn.RReLU(0.1, 0.5).eval())
    np.testing.assert_allclose(found, expected, atol=1e-7)
    assert "aten.leaky_relu.default" in targets
