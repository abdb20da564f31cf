"""Segmentation networks: `(B, C, H, W)` images in, `(B, K, H, W)` logits out."""

from torchseg.models.build import MODELS, build_model, count_parameters
from torchseg.models.multiply_adds import multiply_adds
from torchseg.models.unet import UNet, check_size

__all__ = ["MODELS", "UNet", "build_model", "check_size", "count_parameters", "multiply_adds"]
