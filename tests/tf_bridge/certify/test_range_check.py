from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tf_bridge.certify.file_layers import Grid
from tf_bridge.certify.network_layers import NetworkLayers
from tf_bridge.certify.range_check import check_ranges
from tf_bridge.tracing import export_program
from torchseg.spec import ImageSpec

pytestmark = pytest.mark.slow
SPEC = ImageSpec(height=8, width=8, classes=("a", "b", "c"))
RANGES = {"image": (0.0, 1.0), "conv/conv2d": (-1.0, 3.0)}


class Applied(nn.Module):
    """A convolution, and a function of its features."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.function = nn.Conv2d(3, 3, 1), function

    def forward(self, image: Tensor) -> Tensor:
        return self.function(self.conv(image))


def layers(function: Callable[[Tensor], Tensor]) -> NetworkLayers:
    return NetworkLayers(export_program(Applied(function), SPEC))


def wrong(function: Callable[[Tensor], Tensor], grids: dict[str, tuple[float, float]], **ranges: tuple[float, float]):
    """Names of the tensors whose grid is said to be wrong."""
    found = check_ranges(
        layers(function),
        {name: Grid((high - low) / 255, low, high) for name, (low, high) in grids.items()},
        RANGES | {f"forward/{name}": ends for name, ends in ranges.items()},
    )
    return set(found)


@pytest.mark.parametrize(
    ("ends", "right"),
    [
        ((-1.0, 3.0), True),
        ((-1.0 + 0.01, 3.0 + 0.01), True),  # moved by half a step, so that zero is on the grid
        ((-1.0 + 0.05, 3.0 + 0.05), False),
        ((-2.0, 6.0), False),
        ((-0.5, 1.5), False),
    ],
)
def test_a_grid_has_the_ends_of_the_measured_range(ends: tuple[float, float], right: bool) -> None:
    assert (not wrong(torch.sigmoid, {"conv/conv2d": ends})) == right


def test_a_tensor_may_have_the_wider_range_of_what_it_is_moved_into() -> None:
    def joined(x: Tensor) -> Tensor:
        return torch.cat([x, 2 * x - x.sigmoid()], dim=1)[:, :3]

    assert not wrong(joined, {"conv/conv2d": (-2.5, 5.5)}, cat=(-2.5, 5.5))
    assert wrong(joined, {"conv/conv2d": (-2.5, 4.5)}, cat=(-2.5, 5.5)) == {"conv/conv2d"}


def test_what_is_taken_from_the_image_may_have_its_range() -> None:
    class Pooled(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return nn.functional.max_pool2d(image, 3, 1, 1)

    def found(low: float, high: float) -> dict[str, str]:
        grids = {"forward/max_pool2d": Grid((high - low) / 255, low, high)}
        return check_ranges(
            NetworkLayers(export_program(Pooled(), SPEC)), grids, {"image": (-2, 1), "forward/max_pool2d": (-1, 1)}
        )

    assert not found(-2, 1)
    assert set(found(-2, 0.5)) == {"forward/max_pool2d"}


def test_a_range_of_another_tensor_that_cuts_values_off_is_wrong() -> None:
    def reduced(x: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(x, 3, 1, 1) * x.sigmoid()

    assert wrong(reduced, {"conv/conv2d": (-0.5, 1.5)}, avg_pool2d=(-0.5, 1.5)) == {"conv/conv2d"}


def test_what_a_maximum_does_not_choose_may_be_cut_off() -> None:
    def largest(x: Tensor) -> Tensor:
        return nn.functional.max_pool2d(x.clone(), 3, 1, 1)

    def largest_and_all(x: Tensor) -> Tensor:
        return largest(x) * x

    grids = {"conv/conv2d": (-0.2, 3.0)}
    assert not wrong(largest, grids, max_pool2d=(-0.2, 3.0))
    assert wrong(largest_and_all, grids, max_pool2d=(-0.2, 3.0)) == {"conv/conv2d"}


def test_a_sum_has_a_range_of_its_own() -> None:
    def residual(x: Tensor) -> Tensor:
        return x + x.sigmoid()

    assert not wrong(residual, {"conv/conv2d": (-1, 3), "forward/add": (-0.7, 4)}, add=(-0.7, 4), sigmoid=(0, 1))
    assert wrong(residual, {"conv/conv2d": (-1, 4)}, add=(-0.7, 4), sigmoid=(0, 1)) == {"conv/conv2d"}
