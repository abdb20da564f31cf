"""The ways of comparing two opinions that `--soft_loss` names: the right one, and two mistakes that were published.

All are called like `distillation_loss`. The mistakes are here so that recipes/ can repeat them and show what they cost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from torchseg.losses.distillation import distillation_loss


def _picture_sum(student: Tensor, teacher: Tensor, *, temperature: float, valid: Tensor | None = None) -> Tensor:
    """Summed over pixels and divided by the batch alone: grows with the picture, and drowns the loss on the masks."""
    mean = distillation_loss(student, teacher, temperature=temperature, valid=valid)
    counted = torch.ones_like(student[:, 0]) if valid is None else valid  # (B, H, W)
    return mean * counted.sum() / len(student)


def _over_width(student: Tensor, teacher: Tensor, *, temperature: float, valid: Tensor | None = None) -> Tensor:
    """Softmax along the last axis: where in its row a class is strongest, not which class a pixel has.

    A distribution over a row cannot leave pixels out, so the ignored ones count, whatever `valid` says.
    """
    return distillation_loss(student.transpose(1, 3), teacher.transpose(1, 3), temperature=temperature)


SOFT_LOSSES: Mapping[str, Callable[..., Tensor]] = {
    "mean": distillation_loss,
    "picture_sum": _picture_sum,
    "over_width": _over_width,
}
