"""Padding in TensorFlow by all of PyTorch's rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tf_bridge.lowering.operators.indexing import cut
from tf_bridge.lowering.values import TensorFlow, Value, value_of

_RULES = ("replicate", "reflect", "circular")


def _pad(tf: TensorFlow, value: Value, pads: list[int], mode: str, fill: float | None) -> Value:
    if mode == "constant":
        return _constant_pad(tf, value, pads, fill or 0)
    if mode not in _RULES:
        raise ValueError(f"padding by the rule '{mode}'; use constant, {', '.join(_RULES)}")
    for dim, sides in _by_dim(value, pads):
        value = _border(tf, value, dim, sides, mode)
    return value


def _constant_pad(tf: TensorFlow, value: Value, pads: list[int], fill: float) -> Value:
    """Pads with a constant; negative padding crops, as in PyTorch."""
    widths = [(0, 0)] * value.rank
    for dim, (before, after) in _by_dim(value, pads):
        value = cut(tf, value, dim, max(-before, 0), value.shape[dim] - max(-after, 0))
        widths[value.axis(dim)] = (max(before, 0), max(after, 0))
    if max(pads, default=0) <= 0:
        return value
    number = value.tensor.dtype.as_numpy_dtype
    return value_of(tf.pad(value.tensor, widths, constant_values=number(fill)), value.order)


def _by_dim(value: Value, pads: list[int]) -> list[tuple[int, tuple[int, int]]]:
    """Dimension and padding (before, after); PyTorch lists pads from the last dimension to the first."""
    return [(value.rank - 1 - index, (pads[2 * index], pads[2 * index + 1])) for index in range(len(pads) // 2)]


def _border(tf: TensorFlow, value: Value, dim: int, counts: tuple[int, int], mode: str) -> Value:
    """Pads by concatenating single rows: XNNPACK supports slices and concatenations, but not mirrored padding."""
    value = cut(tf, value, dim, max(-counts[0], 0), value.shape[dim] - max(-counts[1], 0))
    before, after = (max(count, 0) for count in counts)
    side = value.shape[dim]
    if mode == "circular":
        parts = [cut(tf, value, dim, side - before, side)] if before else []
        parts = [*parts, value, *([cut(tf, value, dim, 0, after)] if after else [])]
    else:
        rows = np.arange(-before, side + after)
        rows = np.clip(rows, 0, side - 1) if mode == "replicate" else _mirrored(rows, side)
        head, tail = rows[:before], rows[before + side :]
        parts = [cut(tf, value, dim, row, row + 1) for row in head]
        parts = [*parts, value, *(cut(tf, value, dim, row, row + 1) for row in tail)]
    if len(parts) == 1:
        return value
    return value_of(tf.concat([part.tensor for part in parts], axis=value.axis(dim)), value.order)


def _mirrored(rows: Any, side: int) -> Any:
    return side - 1 - np.abs(side - 1 - np.abs(rows))


def _rule(mode: str) -> Callable[..., Value]:
    return lambda tf, value, pads: _pad(tf, value, pads, mode, None)


PADDING: Mapping[str, Callable[..., Any]] = {
    "aten.pad.default": _pad,
    "aten.constant_pad_nd.default": _constant_pad,
    **{f"aten.reflection_pad{axes}d.default": _rule("reflect") for axes in (1, 2, 3)},
    **{f"aten.replication_pad{axes}d.default": _rule("replicate") for axes in (1, 2, 3)},
}
