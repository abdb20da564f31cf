"""A convolution that is trained as three parallel branches and folded into one for inference (as in ACNet)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional


class BranchedConv(nn.Module):
    """Sum of a 3x3, a 1x3 and a 3x1 convolution, which strengthens the cross of the kernel. Source: arXiv:1908.03930.

    Keeps height and width: `(B, in_channels, H, W)` becomes `(B, out_channels, H, W)`.
    """

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__()
        self.square = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=bias)
        self.row = nn.Conv2d(in_channels, out_channels, (1, 3), padding=(0, 1), bias=False)
        self.column = nn.Conv2d(in_channels, out_channels, (3, 1), padding=(1, 0), bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Sum of the three branches, `(B, out_channels, H, W)`."""
        return cast(Tensor, self.square(features) + self.row(features) + self.column(features))

    @torch.no_grad()
    def folded(self) -> nn.Conv2d:
        """An equivalent single 3x3 convolution; it exists because convolution is linear in the kernel."""
        square = self.square
        single = nn.Conv2d(square.in_channels, square.out_channels, 3, padding=1, bias=square.bias is not None)
        row = functional.pad(self.row.weight.double(), (0, 0, 1, 1))  # (C_out, C_in, 3, 3)
        column = functional.pad(self.column.weight.double(), (1, 1, 0, 0))
        single.weight.copy_(square.weight.double() + row + column)
        if single.bias is not None and square.bias is not None:
            single.bias.copy_(square.bias)
        return single.to(square.weight.device).train(self.training)


def fold_branches(model: nn.Module) -> int:
    """Replaces every `BranchedConv` by an equivalent single convolution, in place.

    A `multiscale_unet` then equals the one that its builder makes with `layers="plain"`: its weights have the same
    names and shapes. Batch norm stays, and can be folded as after any convolution.

    Args:
        model: any network; not changed if it has no branches.

    Returns:
        Number of `BranchedConv` layers folded.
    """
    found = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if isinstance(child, BranchedConv)
    ]
    for parent, name, child in found:
        setattr(parent, name, child.folded())
    return len(found)
