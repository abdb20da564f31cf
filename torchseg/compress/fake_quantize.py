"""Rounding to few levels in the middle of a float computation, with a gradient."""

from __future__ import annotations

from torch import Tensor


def fake_quantize(values: Tensor, *, scale: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """The nearest multiples of `scale` between `low` and `high`: what is left of values that an 8-bit file stores.

    The gradient passes as if nothing were rounded, and stops where a value is cut off (straight-through estimator,
    arXiv:1308.3432).

    Args:
        values: any shape.
        scale: distance of two levels, > 0; broadcasts against the values.
        low: smallest value that can be stored, a multiple of `scale`; may be a tensor that broadcasts.
        high: largest one.
    """
    cut = values.maximum(low) if isinstance(low, Tensor) else values.clamp(min=low)
    cut = cut.minimum(high) if isinstance(high, Tensor) else cut.clamp(max=high)
    rounded = (cut / scale).round() * scale
    return cut + (rounded - cut).detach()
