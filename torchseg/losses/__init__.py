"""Pure functions of logits."""

from torchseg.losses.distillation import distillation_loss
from torchseg.losses.segmentation import segmentation_loss

__all__ = ["distillation_loss", "segmentation_loss"]
