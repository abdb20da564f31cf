"""How far a network's opinion is from the true mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from torchseg.spec import nearest

# The terms that a segmentation loss is made of: a new one is a function and a line in the table.
#
# Each takes logits `(B, K, H, W)` in float32, a mask `(B, H, W)` of int64 with at least one valid pixel, the value
# whose pixels do not count, and a weight for each class or None. Each gives a scalar that neither picture nor batch
# size changes, 0 where the network is certain and right.

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
    """A weighted sum of terms over the valid pixels of a batch; cross-entropy plus Dice unless told otherwise.

    Cross-entropy teaches every pixel, Dice keeps rare classes from drowning. Source of most terms:
    segmentation_models_pytorch; all of them are in `torchseg.losses.segmentation`.

    Args:
        logits: `(B, K, H, W)`.
        mask: true classes, integers `(B, H, W)`.
        ignore_index: value in `mask` whose pixels do not count.
        terms: keys of `TERMS`, each with its weight.
        class_weights: K positive numbers; every class counts alike without them. Lovasz has no use for them.

    Returns:
        Scalar, not negative; 0 if no pixel is valid.
    """
    logits, mask = logits.float(), mask.long()
    if not (mask != ignore_index).any():
        return logits.sum() * 0.0  # most terms are a mean, and that of no pixel is NaN
    weights = None if class_weights is None else [float(weight) for weight in class_weights]
    values = [factor * TERMS[name](logits, mask, ignore_index, weights) for name, factor in terms.items()]
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


def parse_terms(text: str) -> dict[str, float]:
    """Reads `cross_entropy+dice` or `focal+0.5*dice`: names of `TERMS`, each with its weight, 1 if not given.

    Raises:
        ValueError: for another form, an unknown or repeated name, or a weight that is not positive.
    """
    terms: dict[str, float] = {}
    for part in text.split("+"):
        factor, _, name = (piece.strip() for piece in part.rpartition("*"))
        if name not in TERMS:
            raise ValueError(f"loss '{text}' names '{name}'{nearest(name, TERMS)}; choose from {', '.join(TERMS)}")
        try:
            weight = float(factor or 1)
        except ValueError:
            weight = 0.0
        if weight <= 0 or name in terms:
            raise ValueError(f"loss is '{text}'; name each term once, with a positive weight, e.g. focal+0.5*dice")
        terms[name] = weight
    return terms


def _cross_entropy(logits: Tensor, mask: Tensor, ignore_index: int, weights: list[float] | None) -> Tensor:
    """Mean nats per valid pixel, each pixel weighted by its class."""
    weight = None if weights is None else torch.tensor(weights, device=logits.device)
    return functional.cross_entropy(logits, mask, weight=weight, ignore_index=ignore_index)


def _dice(logits: Tensor, mask: Tensor, ignore_index: int, weights: list[float] | None) -> Tensor:
    """One minus the soft Dice score, (weighted) mean over the classes; one that the batch lacks counts as right."""
    from segmentation_models_pytorch.losses import DiceLoss

    loss: Tensor = DiceLoss("multiclass", ignore_index=ignore_index, class_weights=weights)(logits, mask)
    return loss


def _focal(logits: Tensor, mask: Tensor, ignore_index: int, weights: list[float] | None) -> Tensor:
    """Each class against the rest, easy pixels faded out (arXiv:1708.02002, gamma 2); (weighted) mean over classes.

    The weight of a class counts for its misses and its false alarms alike.
    """
    from segmentation_models_pytorch.losses import FocalLoss

    loss: Tensor = FocalLoss("multiclass", gamma=2.0, ignore_index=ignore_index, class_weights=weights)(logits, mask)
    return loss


def _lovasz(logits: Tensor, mask: Tensor, ignore_index: int, weights: list[float] | None) -> Tensor:
    """Lovasz-softmax (arXiv:1705.08790): a surrogate of one minus mean IoU over the classes that occur.

    It weighs all classes alike by its nature, so `weights` have no part in it.
    """
    from segmentation_models_pytorch.losses import LovaszLoss

    loss: Tensor = LovaszLoss("multiclass", ignore_index=ignore_index)(logits, mask)
    return loss


def _tversky(logits: Tensor, mask: Tensor, ignore_index: int, weights: list[float] | None) -> Tensor:
    """Focal Tversky (arXiv:1810.07842): misses cost more than false alarms (0.7, 0.3), raised to the power of 3/4."""
    from segmentation_models_pytorch.losses import TverskyLoss

    plain = TverskyLoss("multiclass", ignore_index=ignore_index, alpha=0.3, beta=0.7, class_weights=weights)
    # The slope of the power is endless at 0; the library's own gamma would turn a perfect batch into NaN gradients.
    error: Tensor = plain(logits, mask).clamp_min(1e-6)
    return error**0.75


TERMS: Mapping[str, Term] = {
    "cross_entropy": _cross_entropy,
    "dice": _dice,
    "focal": _focal,
    "lovasz": _lovasz,
    "tversky": _tversky,
}
