"""Segmentation networks: `(B, C, H, W)` images in, `(B, K, H, W)` logits out."""

from torchseg.models.branched_conv import fold_branches
from torchseg.models.multiply_adds import multiply_adds
from torchseg.models.pretrained import Scaling
from torchseg.models.random_norms import randomize_norms
from torchseg.models.registry import (
    MODELS,
    arguments_of,
    build_model,
    count_parameters,
    defaults_of,
    format_arguments,
    known_arguments,
    parse_arguments,
    pretrained_scaling,
    rebuild_model,
)
from torchseg.models.students import STUDENTS, Student
from torchseg.models.unet import UNet, check_size

__all__ = [
    "MODELS",
    "STUDENTS",
    "Scaling",
    "Student",
    "UNet",
    "arguments_of",
    "build_model",
    "check_size",
    "count_parameters",
    "defaults_of",
    "fold_branches",
    "format_arguments",
    "known_arguments",
    "multiply_adds",
    "parse_arguments",
    "pretrained_scaling",
    "randomize_norms",
    "rebuild_model",
]
