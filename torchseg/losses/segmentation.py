"""How far a network's opinion is from the true mask."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def segmentation_loss(logits: Tensor, mask: Tensor, *, ignore_index: int) -> Tensor:
    """Cross-entropy plus Dice loss over the valid pixels of a batch.

    Cross-entropy teaches every pixel, Dice keeps rare classes from drowning. Source of the Dice term:
    segmentation_models_pytorch, `DiceLoss`; classes that do not occur in the batch are left out of it.

    Args:
        logits: `(B, K, H, W)`.
        mask: true classes, integers `(B, H, W)`.
        ignore_index: value in `mask` whose pixels do not count.

    Returns:
        Scalar: mean nats per valid pixel, plus a Dice loss in [0, 1]; 0 if no pixel is valid.
    """
    from segmentation_models_pytorch.losses import DiceLoss

    logits, mask = logits.float(), mask.long()
    valid = mask != ignore_index
    # The sum over the count, not the mean: the mean over no pixel at all is NaN.
    entropy = functional.cross_entropy(logits, mask, ignore_index=ignore_index, reduction="sum")
    dice: Tensor = DiceLoss("multiclass", ignore_index=ignore_index)(logits, mask)
    return entropy / valid.sum().clamp(min=1) + dice
