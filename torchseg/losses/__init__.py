"""Loss functions of logits: segmentation terms, distillation, and class weights."""

from torchseg.losses.class_weights import MEDIAN_FREQUENCY, class_weights
from torchseg.losses.distillation import SOFT_LOSSES, distillation_loss, feature_loss, soft_loss
from torchseg.losses.segmentation import DEFAULT_TERMS, TERMS, parse_terms, segmentation_loss

__all__ = [
    "DEFAULT_TERMS",
    "MEDIAN_FREQUENCY",
    "SOFT_LOSSES",
    "TERMS",
    "class_weights",
    "distillation_loss",
    "feature_loss",
    "parse_terms",
    "segmentation_loss",
    "soft_loss",
]
