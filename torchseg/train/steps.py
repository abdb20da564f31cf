"""Step functions, which compute the loss of a model on a batch: supervised training or distillation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor, nn

from torchseg.data import Batch
from torchseg.losses import SOFT_LOSSES, feature_loss, parse_terms, segmentation_loss, soft_loss

Step = Callable[[nn.Module, Tensor, Batch], Tensor]
"""Takes the network, normalised images `(B, C, H, W)` and their batch; returns a scalar loss.

The loss of a batch is the mean of the losses of its micro-batches, weighted by their number of images.
"""
Loss = Callable[..., Tensor]
"""Called as `loss(logits, mask, ignore_index=...)`, like `segmentation_loss`."""


class DistillationSettings(Protocol):
    """What a step reads of the settings of a distillation, which are flags (`torchseg.config.distillation`)."""

    @property
    def temperature(self) -> float:
        """Softmax temperature of the distillation loss, > 0."""
        ...

    @property
    def alpha(self) -> float:
        """Weight of the distillation loss, in [0, 1]."""
        ...

    @property
    def soft_loss(self) -> str:
        """Terms of the distillation loss, joined by +."""
        ...


def label_step(*, ignore_index: int, loss: Loss = segmentation_loss) -> Step:
    """Makes a step that learns from the true masks alone.

    Args:
        ignore_index: mask value whose pixels do not count.
        loss: the loss of logits and masks.
    """

    def step(model: nn.Module, images: Tensor, batch: Batch) -> Tensor:
        return loss(model(images), batch.masks, ignore_index=ignore_index)

    return step


def distill_step(
    config: DistillationSettings,
    *,
    ignore_index: int,
    transfer_share: float = 0.0,
    loss: Loss = segmentation_loss,
    num_classes: int = 0,
    feature_weight: float = 0.0,
) -> Step:
    """Makes a step that learns from the masks of labelled images, and from the teacher's logits in the batch.

    The masks are the only target on labelled images, and the teacher is the only one on images without a mask. In a
    batch that has targets for its labelled images too, both count there, except at ignored pixels. Channels of the
    targets after the logits are features (`FeatureTeacher`); they count if the network gives as many.

    Args:
        config: temperature, weight and kind of the distillation loss.
        ignore_index: mask value whose pixels do not count.
        transfer_share: share of images without a mask in a whole batch, in [0, 1). A micro-batch may have another
            share: the labelled images can be in one and the others in another.
        loss: the loss of logits and masks.
        num_classes: K, where features may follow the logits. Default: all channels are logits.
        feature_weight: weight of the distance between the features, in the distillation loss.
    """
    terms = parse_terms(config.soft_loss, known=SOFT_LOSSES, flag="soft_loss")

    def step(model: nn.Module, images: Tensor, batch: Batch) -> Tensor:
        output = model(images)
        classes = num_classes or output.shape[1]
        logits, features = output[:, :classes], output[:, classes:]
        total: Tensor = logits.sum() * 0.0
        labelled, asked, count = int(batch.labelled.sum()), len(batch.targets), len(images)
        if labelled and config.alpha < 1:
            hard = loss(logits[:labelled], batch.masks[:labelled], ignore_index=ignore_index)
            total = total + (1 - config.alpha) * hard * (labelled / count) / (1 - transfer_share)
        if asked and config.alpha > 0:
            valid = (batch.masks[-asked:] != ignore_index) | ~batch.labelled[-asked:, None, None]
            theirs, taught = batch.targets[:, :classes], batch.targets[:, classes:]
            soft = soft_loss(logits[-asked:], theirs, terms=terms, temperature=config.temperature, valid=valid)
            if features.shape[1]:
                soft = soft + feature_weight * feature_loss(features[-asked:], taught, valid=valid)
            total = total + config.alpha * soft * (asked / count) / (transfer_share or 1)
        return total

    return step
