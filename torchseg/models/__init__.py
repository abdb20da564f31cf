"""Segmentation networks: `(B, C, H, W)` images in, `(B, K, H, W)` logits out."""

from torchseg.models.branched_conv import fold_branches
from torchseg.models.ensemble import Ensemble
from torchseg.models.multiply_adds import multiply_adds
from torchseg.models.pretrained import Scaling
from torchseg.models.random_norms import randomize_norms
from torchseg.models.registry import (
    ENSEMBLE,
    MODELS,
    arguments_of,
    build_model,
    build_network,
    count_parameters,
    defaults_of,
    ensemble_arguments,
    format_arguments,
    known_arguments,
    parse_arguments,
    pretrained_scaling,
    rebuild_model,
    recorded,
)
from torchseg.models.students import STUDENTS, Student
from torchseg.models.unet import UNet, check_size

__all__ = [
    "ENSEMBLE",
    "MODELS",
    "STUDENTS",
    "Ensemble",
    "Scaling",
    "Student",
    "UNet",
    "arguments_of",
    "build_model",
    "build_network",
    "check_size",
    "count_parameters",
    "defaults_of",
    "ensemble_arguments",
    "fold_branches",
    "format_arguments",
    "known_arguments",
    "multiply_adds",
    "parse_arguments",
    "pretrained_scaling",
    "randomize_norms",
    "rebuild_model",
    "recorded",
]
