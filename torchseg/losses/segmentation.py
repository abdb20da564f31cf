"""How far a network's opinion is from the true mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from torchseg.losses.terms import DEFAULT_TERMS, TERMS


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
    segmentation_models_pytorch; all of them are in `torchseg.losses.terms`.

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
