"""Segmentation networks of torchvision under the name `torchvision:NAME`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, cast

from torch import Tensor, nn

from torchseg.spec import nearest

PREFIX = "torchvision:"
_MAIN, _CHANNELS = "out", 3
_GIVEN = {"weights", "weights_backbone", "progress", "num_classes", "aux_loss", "kwargs"}


class TorchvisionNetwork(nn.Module):
    """Wraps a network of torchvision and keeps its main output; `(B, 3, H, W)` to `(B, K, H, W)`, for any size."""

    stride = 1

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Logits `(B, K, H, W)`."""
        return cast(Tensor, self.network(images)[_MAIN])


def torchvision_builder(name: str) -> tuple[Callable[..., nn.Module], Mapping[str, Any]]:
    """Builder and known arguments for a name such as `torchvision:lraspp_mobilenet_v3_large`.

    Networks start from random weights, and have no auxiliary head. For images of another number of channels than three,
    the first convolution is another one.

    Raises:
        ValueError: for an unknown name; suggests similar ones.
    """
    from torchvision.models import segmentation

    known = {
        each: function
        for each, function in vars(segmentation).items()
        if inspect.isfunction(function) and "num_classes" in inspect.signature(function).parameters
    }
    short = name.removeprefix(PREFIX)
    if short not in known:
        raise ValueError(
            f"model '{name}': torchvision has no segmentation network '{short}'{nearest(short, known)}; "
            f"choose from {', '.join(sorted(known))}"
        )

    def build(in_channels: int, num_classes: int, **arguments: Any) -> TorchvisionNetwork:
        off = {"aux_loss": False} if "aux_loss" in inspect.signature(known[short]).parameters else {}
        network = known[short](weights=None, weights_backbone=None, num_classes=num_classes, **off, **arguments)
        if in_channels != _CHANNELS:
            _take_channels(network, in_channels)
        return TorchvisionNetwork(network)

    return build, {each: Any for each in inspect.signature(known[short]).parameters if each not in _GIVEN}


def _take_channels(network: nn.Module, channels: int) -> None:
    """Replaces the first convolution by one for images of so many channels, with random weights."""
    name, first = next((name, each) for name, each in network.named_modules() if isinstance(each, nn.Conv2d))
    arguments = {
        each: getattr(first, each) for each in ("kernel_size", "stride", "padding", "dilation", "padding_mode")
    }
    conv = nn.Conv2d(channels, first.out_channels, bias=first.bias is not None, **arguments)
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, conv)
