"""How far a student's opinion is from its teacher's."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def distillation_loss(student: Tensor, teacher: Tensor, *, temperature: float, valid: Tensor | None = None) -> Tensor:
    """Soft-target divergence between two logit maps, averaged over valid pixels, in float32 even under autocast.

    Source: arXiv:1503.02531, section 2 (the T^2 factor keeps gradients comparable).

    Args:
        student: logits, `(B, K, H, W)`.
        teacher: logits, same shape; no gradient flows into it.
        temperature: softening, > 0, no unit.
        valid: bool `(B, H, W)`, the pixels that count; all of them if not given.

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
