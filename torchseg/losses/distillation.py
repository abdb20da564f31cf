"""Distillation losses: how far the logits of a student are from those of its teacher, and weighted sums of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from torchseg.checks import check_positive

SoftTerm = Callable[..., Tensor]
"""Called like `distillation_loss`; raises what that raises."""


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
    _check(student, teacher, temperature)
    student_log = functional.log_softmax(student.float() / temperature, dim=1)
    teacher_log = functional.log_softmax(teacher.detach().float() / temperature, dim=1)
    divergence = functional.kl_div(student_log, teacher_log, reduction="none", log_target=True)
    per_pixel = divergence.sum(dim=1)  # (B, H, W)
    return _mean(per_pixel, valid) * temperature**2


def _check(student: Tensor, teacher: Tensor, temperature: float) -> None:
    if student.shape != teacher.shape:
        raise ValueError(
            f"student logits are {tuple(student.shape)} and teacher logits {tuple(teacher.shape)}; "
            "both networks must have the same classes and image size"
        )
    check_positive("temperature", temperature, example="1 or 4")


def soft_dice_loss(student: Tensor, teacher: Tensor, *, temperature: float, valid: Tensor | None = None) -> Tensor:
    """One minus the Dice score between two probability maps, averaged over the classes that the teacher sees.

    The usual soft Dice loss is smallest for certain predictions, even where the target is uncertain. This form is 0
    exactly when both maps agree, and equals the usual one for certain targets. Source: arXiv:2303.16296, equation 9.

    Args:
        student: logits, `(B, K, H, W)`.
        teacher: logits, same shape; no gradient flows into it.
        temperature: softmax temperature, > 0, no unit.
        valid: bool `(B, H, W)`, True for pixels that count. Default: all pixels.

    Returns:
        Scalar in [0, 1]. A class that is the teacher's first choice for no valid pixel of the batch does not count.
    """
    _check(student, teacher, temperature)
    ours = functional.softmax(student.float() / temperature, dim=1)
    theirs = functional.softmax(teacher.detach().float() / temperature, dim=1)
    first = theirs == theirs.amax(dim=1, keepdim=True)  # argmax over channels takes 20 times as long on a CPU
    if valid is not None:
        ours, theirs, first = (each * valid[:, None] for each in (ours, theirs, first))
    occurs = first.flatten(2).any(dim=2).any(dim=0)  # (K,)
    distance = (ours - theirs).abs().sum(dim=(0, 2, 3))
    total = (ours + theirs).sum(dim=(0, 2, 3))
    return (distance / total.clamp(min=1e-6) * occurs).sum() / occurs.sum().clamp(min=1)


def channel_loss(student: Tensor, teacher: Tensor, *, temperature: float, valid: Tensor | None = None) -> Tensor:
    """Divergence between the distributions of each class over the pixels of an image, averaged over classes and images.

    Source: arXiv:2011.13256, equation 4. A pixel that does not count has no share in either distribution.

    Args:
        student: logits, `(B, K, H, W)`.
        teacher: logits, same shape; no gradient flows into it.
        temperature: softmax temperature, > 0, no unit.
        valid: bool `(B, H, W)`, True for pixels that count. Default: all pixels.

    Returns:
        Scalar, nats times `temperature ** 2`; 0 when both agree.
    """
    _check(student, teacher, temperature)
    ours, theirs = (each.float().flatten(2) / temperature for each in (student, teacher.detach()))  # (B, K, H * W)
    if valid is not None:
        outside = ~valid.flatten(1)[:, None]
        # Not minus infinity: the softmax of an image without a valid pixel would be NaN.
        ours, theirs = (each.masked_fill(outside, -1e4) for each in (ours, theirs))
    ours, theirs = (functional.log_softmax(each, dim=2) for each in (ours, theirs))
    divergence = functional.kl_div(ours, theirs, reduction="none", log_target=True)
    return divergence.sum(dim=2).mean() * temperature**2


def correlation_loss(student: Tensor, teacher: Tensor, *, temperature: float, valid: Tensor | None = None) -> Tensor:
    """One minus the correlation of the probabilities over the classes of a pixel, plus that over the pixels of a class.

    Source: arXiv:2205.10536 (DIST), equations 8 and 9. Correlation asks for the teacher's order of preference, not for
    its exact probabilities.

    Args:
        student: logits, `(B, K, H, W)`.
        teacher: logits, same shape; no gradient flows into it.
        temperature: softmax temperature, > 0, no unit.
        valid: bool `(B, H, W)`, True for pixels that count. Default: all pixels.

    Returns:
        Scalar in [0, 4], the sum of both; 0 when both agree or no pixel is valid.
    """
    _check(student, teacher, temperature)
    classes = student.shape[1]
    ours, theirs = (
        functional.softmax(each.float() / temperature, dim=1).movedim(1, -1).reshape(-1, classes)
        for each in (student, teacher.detach())
    )
    if valid is not None:
        keep = valid.flatten()
        ours, theirs = ours[keep], theirs[keep]  # (pixels, K)
    if len(ours) < 2:
        return ours.sum() * 0.0
    return sum((_uncorrelated(ours, theirs, dim=dim) for dim in (0, 1)), start=ours.new_zeros(()))


def _uncorrelated(ours: Tensor, theirs: Tensor, *, dim: int) -> Tensor:
    """One minus the correlation along `dim`, averaged over the other dimension.

    The small constant makes two constant vectors agree, which have no correlation: a class that both networks rule out
    at every pixel, or a pixel where both find all classes equally likely.
    """
    ours, theirs = (each - each.mean(dim, keepdim=True) for each in (ours, theirs))
    shared, own, other = ((one * two).sum(dim) + 1e-8 for one, two in ((ours, theirs), (ours, ours), (theirs, theirs)))
    return (1 - shared / (own * other).sqrt()).mean()


def standardised_loss(student: Tensor, teacher: Tensor, *, temperature: float, valid: Tensor | None = None) -> Tensor:
    """The divergence of `distillation_loss` between logits standardised over the classes of each pixel.

    Source: arXiv:2403.01427. The student need not match the range of the teacher's logits, only their relations.
    """
    ours, theirs = (_standardised(each.float()) for each in (student, teacher.detach()))
    return distillation_loss(ours, theirs, temperature=temperature, valid=valid)


def _standardised(logits: Tensor) -> Tensor:
    centred = logits - logits.mean(dim=1, keepdim=True)
    return centred / (centred.square().mean(dim=1, keepdim=True) + 1e-7).sqrt()


def feature_loss(student: Tensor, teacher: Tensor, *, valid: Tensor | None = None) -> Tensor:
    """One minus the cosine of the angle between the features of two networks, averaged over valid pixels.

    Args:
        student: features, `(B, F, H, W)`, projected to as many as the teacher has.
        teacher: features, same shape; no gradient flows into them.
        valid: bool `(B, H, W)`, True for pixels that count. Default: all pixels.

    Returns:
        Scalar in [0, 2].
    """
    return _mean(1 - functional.cosine_similarity(student.float(), teacher.detach().float(), dim=1), valid)


def _mean(per_pixel: Tensor, valid: Tensor | None) -> Tensor:
    if valid is None:
        return per_pixel.mean()
    return (per_pixel * valid).sum() / valid.sum().clamp(min=1)


# Two mistakes that were published, with the signature of `distillation_loss`. They are here so that recipes/ can
# reproduce them and measure what they cost.


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


SOFT_LOSSES: Mapping[str, SoftTerm] = {
    "kl": distillation_loss,
    "dice": soft_dice_loss,
    "channel": channel_loss,
    "dist": correlation_loss,
    "standardised": standardised_loss,
    "picture_sum": _picture_sum,
    "over_width": _over_width,
    "mean": distillation_loss,  # the name of `kl` in earlier versions
}


def soft_loss(
    student: Tensor, teacher: Tensor, *, terms: Mapping[str, float], temperature: float, valid: Tensor | None = None
) -> Tensor:
    """Weighted sum of distillation losses.

    Args:
        student: logits, `(B, K, H, W)`.
        teacher: logits, same shape; no gradient flows into it.
        terms: weight of each term, by its name in `SOFT_LOSSES`.
        temperature: softmax temperature, > 0, no unit.
        valid: bool `(B, H, W)`, True for pixels that count. Default: all pixels.

    Returns:
        Scalar, not negative; 0 when both agree.
    """
    values = [
        weight * SOFT_LOSSES[name](student, teacher, temperature=temperature, valid=valid)
        for name, weight in terms.items()
    ]
    return torch.stack(values).sum()
