"""Networks of segmentation_models_pytorch under the name `smp:ARCHITECTURE:ENCODER`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, cast, get_type_hints

from torch import Tensor, nn
from torch.nn import functional

from torchseg.models.blocks import enlarged
from torchseg.models.pretrained import FETCHED, IMAGENET, PACKAGED, imagenet_weights, load_in_order
from torchseg.models.unet import check_size
from torchseg.spec import nearest

PREFIX, TIMM = "smp:", "timm:"
_GIVEN = {"encoder_name", "in_channels", "classes", "activation", "aux_params", "kwargs", "return"}


class SmpNetwork(nn.Module):
    """Wraps a network of segmentation_models_pytorch and checks image sizes; `(B, C, H, W)` to `(B, K, H, W)`.

    Args:
        network: from images to logits of the same size.
        image_scale: how many times larger the network sees an image than it is. Encoders know objects as large as
            they were in ImageNet, some 200 pixels: small images gain accuracy at twice their size, for four times
            the multiply-adds.
    """

    def __init__(self, network: nn.Module, *, image_scale: Literal[1, 2] = 1) -> None:
        super().__init__()
        self.network, self.image_scale = network, image_scale
        self.stride = int(getattr(network.encoder, "output_stride", 32)) // image_scale

    def forward(self, images: Tensor) -> Tensor:
        """Logits `(B, K, H, W)`; raises ValueError if H or W is not a multiple of `stride`."""
        check_size(int(images.shape[2]), int(images.shape[3]), stride=self.stride)
        if self.image_scale == 1:
            return cast(Tensor, self.network(images))
        return functional.avg_pool2d(self.network(enlarged(images, self.image_scale)), self.image_scale)


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

    def build(in_channels: int, num_classes: int, *, image_scale: Literal[1, 2] = 1, **arguments: Any) -> SmpNetwork:
        options = {FETCHED: None} | arguments
        packaged = encoder in PACKAGED and options[FETCHED] == IMAGENET
        if packaged:
            options[FETCHED] = None
        elif encoder.startswith("tu-") and options[FETCHED]:
            options[FETCHED] = True  # timm takes a bool: it has one set of weights per name
        try:
            network = kind(encoder_name=encoder, in_channels=in_channels, classes=num_classes, **options)
            if packaged:
                load_in_order(network.encoder, imagenet_weights(encoder))
            return SmpNetwork(network, image_scale=image_scale)
        except (KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
            raise ValueError(f"model '{name}' cannot be built with {arguments}: {error}") from error

    hints = {argument: hint for argument, hint in get_type_hints(kind.__init__).items() if argument not in _GIVEN}
    return build, hints | {"image_scale": Literal[1, 2]}


def timm_builder(name: str) -> tuple[Callable[..., nn.Module], Mapping[str, Any]]:
    """Builder and known arguments for a name such as `timm:resnet18`: a U-Net of smp with that encoder of timm.

    Raises:
        ValueError: if timm has no such network, or it gives no feature pyramid for a decoder.
    """
    return smp_builder(f"{PREFIX}Unet:tu-{name.removeprefix(TIMM)}")


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
