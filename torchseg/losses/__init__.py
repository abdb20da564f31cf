"""Pure functions of logits."""

from torchseg.losses.class_weights import MEDIAN_FREQUENCY, class_weights
from torchseg.losses.distillation import distillation_loss
from torchseg.losses.segmentation import segmentation_loss
from torchseg.losses.soft_losses import SOFT_LOSSES
from torchseg.losses.terms import DEFAULT_TERMS, TERMS, parse_terms

__all__ = [
    "DEFAULT_TERMS",
    "MEDIAN_FREQUENCY",
    "SOFT_LOSSES",
    "TERMS",
    "class_weights",
    "distillation_loss",
    "parse_terms",
    "segmentation_loss",
]
