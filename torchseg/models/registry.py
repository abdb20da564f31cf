"""The table of networks: a new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from torchseg.models.arguments import check_arguments, default_arguments, known_arguments
from torchseg.models.multi_unet import multi_unet
from torchseg.models.multiscale_unet import multiscale_student, multiscale_unet
from torchseg.models.pretrained import FETCHED
from torchseg.models.smp import PREFIX, smp_builder
from torchseg.models.unet import attention_unet, small_unet, unet
from torchseg.models.xception_unet import xception_unet
from torchseg.spec import ImageSpec, nearest

MODELS: Mapping[str, Callable[..., nn.Module]] = {
    "attention_unet": attention_unet,
    "multi_unet": multi_unet,
    "multiscale_student": multiscale_student,
    "multiscale_unet": multiscale_unet,
    "small_unet": small_unet,
    "unet": unet,
    "xception_unet": xception_unet,
}


def build_model(name: str, arguments: Mapping[str, Any], spec: ImageSpec, *, seed: int = 0) -> nn.Module:
    """Builds a network for pictures of this spec, with weights drawn from `seed`.

    Args:
        name: a key of `MODELS`, or `smp:ARCHITECTURE:ENCODER` for one of segmentation_models_pytorch.
        arguments: what the builder takes beside the number of channels and classes.
        spec: the pictures and classes.
        seed: of the initial weights; the global random state is left as it was.

    Raises:
        ValueError: for an unknown name or argument; says which ones there are.
    """
    builder, known = _find(name)
    check_arguments(name, arguments, known)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return builder(spec.channels, spec.num_classes, **arguments)


def arguments_of(name: str) -> Mapping[str, Any]:
    """Name and type of everything that the builder `name` takes; raises ValueError if there is no such builder."""
    return _find(name)[1]


def defaults_of(name: str) -> Mapping[str, Any]:
    """What the builder `name` takes where nothing is said; nothing is known of segmentation_models_pytorch's."""
    return {} if name.startswith(PREFIX) else default_arguments(MODELS[name])


def rebuild_model(name: str, arguments: Mapping[str, Any], spec: ImageSpec) -> nn.Module:
    """Builds a network whose weights are about to be loaded: the same as `build_model`, but nothing is fetched."""
    return build_model(name, {key: value for key, value in arguments.items() if key != FETCHED}, spec)


def count_parameters(model: nn.Module) -> int:
    """Number of weights and biases."""
    return sum(parameter.numel() for parameter in model.parameters())


def _find(name: str) -> tuple[Callable[..., nn.Module], Mapping[str, Any]]:
    if name.startswith(PREFIX):
        return smp_builder(name)
    if name not in MODELS:
        listed = ", ".join([*sorted(MODELS), "smp:ARCHITECTURE:ENCODER"])
        raise ValueError(f"there is no model '{name}'{nearest(name, MODELS)}; choose from {listed}")
    return MODELS[name], known_arguments(MODELS[name])
