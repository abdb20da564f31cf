"""Distillation losses: divergence between the logits of a student and those of its teacher."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional


def distillation_loss(student: Tensor, teacher: Tensor, *, temperature: float, valid: Tensor | None = None) -> Tensor:
    """Soft-target divergence between two logit maps, averaged over valid pixels, in float32 even under autocast.

    Source: arXiv:1503.02531, section 2 (the T^2 factor keeps gradients comparable).

    Args:
        student: logits, `(B, K, H, W)`.
        teacher: logits, same shape; no gradient flows into it.
        temperature: softmax temperature, > 0, no unit.
        valid: bool `(B, H, W)`, True for pixels that count. Default: all pixels.

    Returns:
        Scalar, nats per pixel times `temperature ** 2`; 0 when both agree or no pixel is valid.

    Raises:
        ValueError: if the shapes differ or `temperature` is not positive.
    """
    if student.shape != teacher.shape:
        raise ValueError(
            f"student logits are {tuple(student.shape)} and teacher logits {tuple(teacher.shape)}; "
            "both networks must have the same classes and picture size"
        )
    if temperature <= 0:
        raise ValueError(f"temperature is {temperature}; give a positive number, e.g. 1 or 4")
    student_log = functional.log_softmax(student.float() / temperature, dim=1)
    teacher_log = functional.log_softmax(teacher.detach().float() / temperature, dim=1)
    divergence = functional.kl_div(student_log, teacher_log, reduction="none", log_target=True)
    per_pixel = divergence.sum(dim=1)  # (B, H, W)
    if valid is None:
        return per_pixel.mean() * temperature**2
    return (per_pixel * valid).sum() / valid.sum().clamp(min=1) * temperature**2


# The distillation losses that `--soft_loss` selects: the correct one above, and two mistakes that were published.
#
# All have the signature of `distillation_loss`. The mistakes are here so that recipes/ can reproduce them and measure
# what they cost.


def _picture_sum(student: Tensor, teacher: Tensor, *, temperature: float, valid: Tensor | None = None) -> Tensor:
    """Sums over pixels and divides only by the batch size: grows with the image and dominates the loss on the masks."""
    mean = distillation_loss(student, teacher, temperature=temperature, valid=valid)
    counted = torch.ones_like(student[:, 0]) if valid is None else valid  # (B, H, W)
    return mean * counted.sum() / len(student)


def _over_width(student: Tensor, teacher: Tensor, *, temperature: float, valid: Tensor | None = None) -> Tensor:
    """Softmax over the width: compares where in a row a class is strongest, not which class a pixel has.

    A distribution over a row cannot leave pixels out, so ignored pixels count; `valid` has no effect.
    """
    return distillation_loss(student.transpose(1, 3), teacher.transpose(1, 3), temperature=temperature)


SOFT_LOSSES: Mapping[str, Callable[..., Tensor]] = {
    "mean": distillation_loss,
    "picture_sum": _picture_sum,
    "over_width": _over_width,
}
