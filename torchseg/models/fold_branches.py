"""Branches that help training, folded away for files and runtimes."""

from __future__ import annotations

from torch import nn

from torchseg.models.branched_conv import BranchedConv


def fold_branches(model: nn.Module) -> int:
    """Replaces every `BranchedConv` by the one convolution that computes the same, in place.

    What is left of a `multiscale_unet` is the one that its builder makes with `layers="plain"`: names and shapes of the
    weights are the same. Batch norm stays, and can be folded as behind any convolution.

    Args:
        model: any network; one without branches stays as it is.

    Returns:
        Number of convolutions folded.
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
