"""Segmentation losses of logits and true masks: a weighted sum of terms."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from torchseg.spec import nearest

# The terms of a segmentation loss. A new term is one function and one line in the table `TERMS`.
#
# Each takes float32 logits `(B, K, H, W)`, an int64 mask `(B, H, W)` with at least one valid pixel, the ignored value,
# and K class weights or None. Each returns a scalar that does not grow with image or batch size, and that is 0 if every
# prediction is certain and right.

Term = Callable[[Tensor, Tensor, int, list[float] | None], Tensor]
DEFAULT_TERMS: Mapping[str, float] = {"cross_entropy": 1.0, "dice": 1.0}


def segmentation_loss(
    logits: Tensor,
    mask: Tensor,
    *,
    ignore_index: int,
    terms: Mapping[str, float] = DEFAULT_TERMS,
    class_weights: Sequence[float] | None = None,
) -> Tensor:
    """Weighted sum of loss terms over the valid pixels of a batch, in float32; cross-entropy plus Dice by default.

    Cross-entropy gives every pixel a gradient; Dice keeps rare classes from being neglected. Most terms come from
    segmentation_models_pytorch; all of them are in `torchseg.losses.segmentation`.

    Args:
        logits: `(B, K, H, W)`.
        mask: true classes, integers `(B, H, W)`.
        ignore_index: value in `mask` whose pixels do not count.
        terms: weight of each term, by its name in `TERMS`.
        class_weights: K positive numbers. Default: all classes weigh the same. Lovasz ignores them.

    Returns:
        Scalar, not negative; 0 if no pixel is valid.
    """
    logits, mask = logits.float(), mask.long()
    if not (mask != ignore_index).any():
        return logits.sum() * 0.0  # most terms are means, and the mean of no pixels is NaN
    weights = None if class_weights is None else [float(weight) for weight in class_weights]
    values = [factor * TERMS[name](logits, mask, ignore_index, weights) for name, factor in terms.items()]
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


def parse_terms(text: str, *, known: Collection[str] = (), flag: str = "loss") -> dict[str, float]:
    """Parses `cross_entropy+dice` or `focal+0.5*dice` into weights by name; the default weight is 1.

    Args:
        text: terms joined by +, each with an optional weight.
        known: names that a term may have; none given means those of `TERMS`.
        flag: name of the flag, for the message.

    Raises:
        ValueError: for malformed text, an unknown or repeated name, or a weight that is not positive.
    """
    known = known or TERMS
    terms: dict[str, float] = {}
    for part in text.split("+"):
        factor, _, name = (piece.strip() for piece in part.rpartition("*"))
        if name not in known:
            raise ValueError(f"{flag} '{text}' names '{name}'{nearest(name, known)}; choose from {', '.join(known)}")
        try:
            weight = float(factor or 1)
        except ValueError:
            weight = 0.0
        if not 0 < weight < math.inf or name in terms:
            example = "+0.5*".join(list(known)[:2])
            raise ValueError(f"{flag} is '{text}'; name each term once, with a positive weight, e.g. {example}")
        terms[name] = weight
    return terms


def _cross_entropy(logits: Tensor, mask: Tensor, ignore_index: int, weights: list[float] | None) -> Tensor:
    """Mean nats per valid pixel, each pixel weighted by its class."""
    weight = None if weights is None else torch.tensor(weights, device=logits.device)
    return functional.cross_entropy(logits, mask, weight=weight, ignore_index=ignore_index)


def _dice(logits: Tensor, mask: Tensor, ignore_index: int, weights: list[float] | None) -> Tensor:
    """One minus the soft Dice score, (weighted) mean over classes; a class absent from the batch contributes 0."""
    from segmentation_models_pytorch.losses import DiceLoss

    loss: Tensor = DiceLoss("multiclass", ignore_index=ignore_index, class_weights=weights)(logits, mask)
    return loss


def _focal(logits: Tensor, mask: Tensor, ignore_index: int, weights: list[float] | None) -> Tensor:
    """Focal loss of each class against the rest (arXiv:1708.02002, gamma 2); (weighted) mean over classes.

    A class weight applies to the false negatives and the false positives of its class.
    """
    from segmentation_models_pytorch.losses import FocalLoss

    loss: Tensor = FocalLoss("multiclass", gamma=2.0, ignore_index=ignore_index, class_weights=weights)(logits, mask)
    return loss


def _lovasz(logits: Tensor, mask: Tensor, ignore_index: int, weights: list[float] | None) -> Tensor:
    """Lovasz-softmax (arXiv:1705.08790): a surrogate for one minus the mean IoU over the classes that occur.

    By definition it weighs all classes equally, so it ignores `weights`.
    """
    from segmentation_models_pytorch.losses import LovaszLoss

    loss: Tensor = LovaszLoss("multiclass", ignore_index=ignore_index)(logits, mask)
    return loss


def _tversky(logits: Tensor, mask: Tensor, ignore_index: int, weights: list[float] | None) -> Tensor:
    """Focal Tversky (arXiv:1810.07842): false negatives weigh 0.7, false positives 0.3; to the power of 3/4."""
    from segmentation_models_pytorch.losses import TverskyLoss

    plain = TverskyLoss("multiclass", ignore_index=ignore_index, alpha=0.3, beta=0.7, class_weights=weights)
    # The derivative of the power is infinite at 0, so the library's own gamma gives NaN gradients on a perfect batch.
    error: Tensor = plain(logits, mask).clamp_min(1e-6)
    return error**0.75


TERMS: Mapping[str, Term] = {
    "cross_entropy": _cross_entropy,
    "dice": _dice,
    "focal": _focal,
    "lovasz": _lovasz,
    "tversky": _tversky,
}
