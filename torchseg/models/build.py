"""The table of networks: a new one is one file and one line here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from torchseg.models.unet import UNet, attention_unet, small_unet, unet
from torchseg.spec import ImageSpec, nearest

MODELS: Mapping[str, Callable[..., nn.Module]] = {
    "attention_unet": attention_unet,
    "small_unet": small_unet,
    "unet": unet,
}


def build_model(name: str, arguments: Mapping[str, Any], spec: ImageSpec, *, seed: int = 0) -> nn.Module:
    """Builds a network for pictures of this spec, with weights drawn from `seed`.

    Args:
        name: a key of `MODELS`.
        arguments: what the builder takes beside the number of channels and classes.
        spec: the pictures and classes.
        seed: of the initial weights; the global random state is left as it was.

    Raises:
        ValueError: for an unknown name or argument; says which ones there are.
    """
    if name not in MODELS:
        raise ValueError(f"there is no model '{name}'{nearest(name, MODELS)}; choose from {', '.join(sorted(MODELS))}")
    known = set(inspect.signature(UNet).parameters) - {"in_channels", "num_classes", "attention"}
    if unknown := set(arguments) - known:
        raise ValueError(f"model '{name}' takes no {', '.join(sorted(unknown))}; it takes {', '.join(sorted(known))}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MODELS[name](spec.channels, spec.num_classes, **arguments)


def count_parameters(model: nn.Module) -> int:
    """Number of weights and biases."""
    return sum(parameter.numel() for parameter in model.parameters())
