"""Students with the first stages of an EfficientNet-Lite and a slim decoder; they can start from ImageNet weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from torchseg.models.blocks import Join, Up, enlarged
from torchseg.models.pretrained import IMAGENET, imagenet_weights, load_in_order
from torchseg.models.unet import check_size

Encoder = Literal["lite0", "lite1", "lite2"]
# Stages of the encoder up to each output stride, and the decoder widths that are the default for it.
_STAGES = {8: 3, 16: 5, 32: 7}
_DECODERS = {8: (32, 32), 16: (48, 32, 16), 32: (32, 32, 16, 16)}


class LiteStudent(nn.Module):
    """Encoder of EfficientNet-Lite, cut at an output stride, with a decoder up to half of the image's size.

    The encoder halves the image in its first convolution, so no layer works at full size: the logits are enlarged to it
    at the end. The cut leaves out the last stages, which hold most of the weights. Source of the encoder:
    https://blog.tensorflow.org/2020/03/higher-accuracy-on-vision-models-with-efficientnet-lite.html

    Args:
        in_channels: C of the images.
        num_classes: K.
        encoder: EfficientNet-Lite 0, 1 or 2.
        cut: output stride of the encoder: 8, 16 or 32.
        blocks_at_cut: blocks that work at that stride, which hold most of the weights; the later ones are left out.
            Default: all, e.g. six at stride 16 of `lite0`.
        image_scale: how many times larger the encoder sees an image than it is, as in `SmpNetwork`; with 2, the logits
            are computed at the image's own size.
        stem_stride: stride of the first convolution. With 1, its kernels first enlarge what they see twice: the network
            computes what it does with `image_scale` 2, except at the image's border. It enlarges no image, which
            saves time, and int8 files round none: the 8 bits of an enlarged image cost more than all later layers.
        decoder_widths: channels of the decoder at every doubling, from the cut to half of the image's size. Default: by
            the cut; none is wider than 48.
        encoder_weights: imagenet, or none for random initial weights.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        num_classes: int,
        encoder: Encoder = "lite0",
        cut: Literal[8, 16, 32] = 16,
        blocks_at_cut: int | None = None,
        image_scale: Literal[1, 2] = 1,
        stem_stride: Literal[1, 2] = 2,
        decoder_widths: Sequence[int] | None = None,
        encoder_weights: Literal["imagenet", "none"] = "none",
    ) -> None:
        widths = _DECODERS[cut] if decoder_widths is None else tuple(decoder_widths)
        if len(widths) != len(_DECODERS[cut]) or not all(isinstance(width, int) and width > 0 for width in widths):
            raise ValueError(
                f"decoder_widths is {list(widths)}; with cut {cut} give {len(_DECODERS[cut])} widths, "
                f"e.g. {list(_DECODERS[cut])}"
            )
        if image_scale == 2 and stem_stride == 1:
            raise ValueError(
                "image_scale is 2 and stem_stride 1; give one of them: each shows images at twice their size"
            )
        super().__init__()
        self.image_scale = image_scale
        self.logits_stride = stem_stride // image_scale
        self.stride = cut * self.logits_stride // 2
        self.encoder = _Encoder(encoder, in_channels, stages=_STAGES[cut], blocks_at_cut=blocks_at_cut)
        if encoder_weights == IMAGENET:
            load_in_order(self.encoder, imagenet_weights(encoder_name(encoder)))
        if stem_stride == 1:
            self.encoder.conv_stem = _enlarging(self.encoder.conv_stem)
        *skips, deepest = _skip_channels(self.encoder, in_channels)
        skips.reverse()
        self.up = nn.ModuleList(Up(before, width) for before, width in zip((deepest, *widths), widths, strict=False))
        self.join = Join()
        self.decode = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(skip + width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
            )
            for skip, width in zip(skips, widths, strict=True)
        )
        self.head = nn.Conv2d(widths[-1], num_classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits `(B, K, H, W)`; raises ValueError if H or W is not a multiple of `stride`."""
        check_size(int(images.shape[2]), int(images.shape[3]), stride=self.stride)
        *skips, features = self.encoder(enlarged(images, self.image_scale))
        for up, decode in zip(self.up, self.decode, strict=True):
            features = decode(self.join(skips.pop(), up(features)))
        return enlarged(cast(Tensor, self.head(features)), self.logits_stride)


class _Encoder(nn.Module):
    """The first stages of a classifier of timm; returns the last features of every size, the finest first."""

    def __init__(self, name: Encoder, in_channels: int, *, stages: int, blocks_at_cut: int | None) -> None:
        import timm

        super().__init__()
        network = timm.create_model(f"tf_efficientnet_{name}", in_chans=in_channels)
        self.conv_stem = cast(nn.Conv2d, network.conv_stem)
        self.bn1 = cast(nn.Module, network.bn1)
        kept = list(cast(nn.Sequential, network.blocks))[:stages]
        self.blocks = nn.ModuleList(kept if blocks_at_cut is None else _shortened(kept, blocks_at_cut))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features `(B, C_i, H / 2, W / 2)`, `(B, C_i, H / 4, W / 4)` and so on, of images `(B, C, H, W)`."""
        features: list[Tensor] = [self.bn1(self.conv_stem(images))]
        for block in self.blocks:
            after = block(features[-1])
            if after.shape[2:] == features[-1].shape[2:]:
                features.pop()
            features.append(after)
        return features


def _enlarging(convolution: nn.Conv2d) -> nn.Conv2d:
    """A convolution that gives, inside of an image, what this one with stride 2 gives of the image enlarged twice.

    An enlarged pixel is 3/4 of the nearest pixel and 1/4 of the next one, so three of them in a row depend on three
    pixels, and so does what stride 2 makes of them.
    """
    alone = nn.Conv2d(convolution.in_channels, convolution.out_channels, 3, padding=1, bias=False)
    along = convolution.weight.new_tensor([[1, 3, 0], [0, 3, 1], [0, 1, 3]]) / 4  # enlarged pixels by pixels
    with torch.no_grad():
        alone.weight.copy_(torch.einsum("oiyx,yh,xw->oihw", convolution.weight, along, along))
    return alone


def _shortened(stages: Sequence[nn.Module], blocks_at_cut: int) -> list[nn.Module]:
    """The stages without what follows so many blocks at the last stride; raises ValueError if there are fewer."""
    first = max(
        index for index, stage in enumerate(stages) if any(layer.stride[0] == 2 for layer in _convolutions(stage))
    )
    at_cut = [block for stage in stages[first:] for block in cast(nn.Sequential, stage)]
    if not 1 <= blocks_at_cut <= len(at_cut):
        raise ValueError(f"blocks_at_cut is {blocks_at_cut}; this encoder has 1 to {len(at_cut)} blocks at its cut")
    kept = set(at_cut[:blocks_at_cut])
    shorter = [
        nn.Sequential(*(block for block in cast(nn.Sequential, stage) if block in kept)) for stage in stages[first:]
    ]
    return [*stages[:first], *(stage for stage in shorter if len(stage))]


def _convolutions(stage: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in stage.modules() if isinstance(layer, nn.Conv2d)]


def _skip_channels(encoder: _Encoder, in_channels: int) -> list[int]:
    """Channels of the encoder's features, the finest first."""
    with torch.no_grad():
        features = encoder.eval()(torch.zeros(1, in_channels, 32, 32))
    encoder.train()
    return [int(each.shape[1]) for each in features]


def encoder_name(encoder: str) -> str:
    """Name of the encoder in segmentation_models_pytorch, under which its weights are found."""
    return f"tu-tf_efficientnet_{encoder}"


def lite_student(in_channels: int, num_classes: int, **arguments: Any) -> LiteStudent:
    """A student for photos: the first stages of EfficientNet-Lite0, and a slim decoder."""
    return LiteStudent(in_channels=in_channels, num_classes=num_classes, **arguments)
