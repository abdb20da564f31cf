"""Which number of classes, encoder or architecture the weights would fit, if not the one that the user named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from torchseg.adopt.key_matching import Matching, match_keys
from torchseg.models import build_network
from torchseg.models.smp import PREFIX as SMP

_ENCODERS = (
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnext50_32x4d", "mobilenet_v2", "vgg11_bn", "vgg16_bn"),
    *(f"efficientnet-b{size}" for size in range(5)),
    *("densenet121", "se_resnext50_32x4d", "mit_b0", "mit_b1", "mit_b2", "tu-mobilenetv3_large_100"),
)
_ARCHITECTURES = ("Unet", "UnetPlusPlus", "FPN", "DeepLabV3Plus", "DeepLabV3", "Linknet", "MAnet", "PSPNet", "PAN")


def head_classes(matching: Matching, num_classes: int) -> int | None:
    """The number of classes of the checkpoint's head, if it is all that keeps the tensors from fitting.

    Args:
        matching: of the checkpoint with a network of `num_classes` classes.
        num_classes: of that network.
    """
    if matching.missing or matching.unexpected or not matching.reshaped:
        return None
    counts = {
        theirs[0] if ours[:1] == (num_classes,) and theirs[1:] == ours[1:] else 0
        for _, theirs, ours in matching.reshaped
    }
    return counts.pop() if len(counts) == 1 and 0 not in counts else None


def other_model(model: str, tensors: Mapping[str, Tensor], *, channels: int, num_classes: int) -> str:
    """The network of segmentation_models_pytorch that fits the tensors, as `smp:ARCHITECTURE:ENCODER`.

    Args:
        model: the network that they do not fit.
        tensors: of the checkpoint.
        channels: of the images.
        num_classes: of the data.

    Returns:
        The name; empty if no usual one fits.
    """
    for name in _candidates(model):
        try:
            with torch.device("meta"):
                own = build_network(name, {}, channels=channels, num_classes=num_classes).state_dict()
        except (ValueError, RuntimeError, NotImplementedError):  # not every pair of architecture and encoder exists
            continue
        matching = match_keys(tensors, own)
        if matching.fits or head_classes(matching, num_classes):
            return name
    return ""


def _candidates(model: str) -> Iterator[str]:
    """Other encoders of the same architecture, then other architectures; U-Nets for a network that is not of smp."""
    architecture, encoder = model.split(":")[1:3] if model.startswith(SMP) else ("Unet", "")
    names = [f"{SMP}{architecture}:{each}" for each in _ENCODERS]
    names += [f"{SMP}{each}:{encoder}" for each in _ARCHITECTURES if encoder]
    return (name for name in names if name != model)
