"""Segmentation networks: `(B, C, H, W)` images in, `(B, K, H, W)` logits out."""

from torchseg.models.branched_conv import fold_branches
from torchseg.models.multiply_adds import multiply_adds
from torchseg.models.pretrained import Scaling
from torchseg.models.registry import (
    MODELS,
    arguments_of,
    build_model,
    count_parameters,
    defaults_of,
    known_arguments,
    parse_arguments,
    pretrained_scaling,
    rebuild_model,
)
from torchseg.models.unet import UNet, check_size

__all__ = [
    "MODELS",
    "Scaling",
    "UNet",
    "arguments_of",
    "build_model",
    "check_size",
    "count_parameters",
    "defaults_of",
    "fold_branches",
    "known_arguments",
    "multiply_adds",
    "parse_arguments",
    "pretrained_scaling",
    "rebuild_model",
]
