"""Concatenation, slicing, padding and reshaping in TensorFlow. Images are NHWC; `dim` counts as in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Any

import numpy as np

from tf_bridge.lowering.values import Tensor, TensorFlow, axis_of, rank, shape


def _cat(tf: TensorFlow, tensors: list[Tensor], dim: int) -> Tensor:
    return tf.concat(tensors, axis=axis_of(dim, rank(tensors[0])))


def _cut(tf: TensorFlow, value: Tensor, axis: int, start: int, end: int) -> Tensor:
    """`value[..., start:end, ...]` as `tf.slice`, the only kind of slice that XNNPACK supports."""
    sides = shape(value)
    begin, size = [0] * len(sides), list(sides)
    begin[axis], size[axis] = start, end - start
    return value if size == sides else tf.slice(value, begin, size)


def _slice(tf: TensorFlow, value: Tensor, dim: int, start: int | None, end: int | None, step: int) -> Tensor:
    axis = axis_of(dim, rank(value))
    first, last, step = slice(start, end, step).indices(shape(value)[axis])
    value = _cut(tf, value, axis, first, max(first, last))
    if step == 1:
        return value
    window = [slice(None)] * rank(value)
    window[axis] = slice(None, None, step)
    return value[tuple(window)]


def _split(tf: TensorFlow, value: Tensor, sizes: list[int] | int, dim: int) -> list[Tensor]:
    axis = axis_of(dim, rank(value))
    side = shape(value)[axis]
    if isinstance(sizes, int):
        sizes = [min(sizes, side - start) for start in range(0, side, sizes)]
    ends = list(accumulate(sizes))
    return [_cut(tf, value, axis, end - size, end) for size, end in zip(sizes, ends, strict=True)]


def _chunk(tf: TensorFlow, value: Tensor, chunks: int, dim: int) -> list[Tensor]:
    side = shape(value)[axis_of(dim, rank(value))]
    return _split(tf, value, -(-side // chunks), dim)


def _pad(tf: TensorFlow, value: Tensor, pads: list[int], mode: str, fill: float | None) -> Tensor:
    if mode == "constant":
        return _constant_pad(tf, value, pads, fill or 0)
    if mode not in ("replicate", "reflect"):
        raise ValueError(f"padding by the rule '{mode}'; use constant, replicate or reflect")
    for dim, (before, after) in _by_dim(value, pads):
        value = _border(tf, value, axis_of(dim, rank(value)), (before, after), mode)
    return value


def _constant_pad(tf: TensorFlow, value: Tensor, pads: list[int], fill: float) -> Tensor:
    """Pads with a constant; negative padding crops, as in PyTorch."""
    widths = [(0, 0)] * rank(value)
    for dim, (before, after) in _by_dim(value, pads):
        axis = axis_of(dim, rank(value))
        value = _cut(tf, value, axis, max(-before, 0), shape(value)[axis] - max(-after, 0))
        widths[axis] = (max(before, 0), max(after, 0))
    return tf.pad(value, widths, constant_values=np.float32(fill)) if max(pads) > 0 else value


def _by_dim(value: Tensor, pads: list[int]) -> list[tuple[int, tuple[int, int]]]:
    """Dimension and padding (before, after); PyTorch lists pads from the last dimension to the first."""
    return [(rank(value) - 1 - index, (pads[2 * index], pads[2 * index + 1])) for index in range(len(pads) // 2)]


def _border(tf: TensorFlow, value: Tensor, axis: int, counts: tuple[int, int], mode: str) -> Tensor:
    """Pads by concatenating single rows: XNNPACK supports slices and concatenations, but not mirrored padding."""
    before, after = counts
    side = shape(value)[axis]

    def row(index: int) -> Tensor:
        return _cut(tf, value, axis, index, index + 1)

    reflect = mode == "reflect"
    head = [row(before - index if reflect else 0) for index in range(before)]
    tail = [row(side - 2 - index if reflect else side - 1) for index in range(after)]
    return tf.concat([*head, value, *tail], axis=axis) if head or tail else value


def _reshape(tf: TensorFlow, value: Tensor, size: list[int]) -> Tensor:
    """Reshapes (B, C) to (B, C, 1, 1) or back; any other reshape would depend on the layout and raises ValueError."""
    sides = shape(value)
    total = int(np.prod(sides))
    known = int(np.prod([side for side in size if side != -1]))
    wanted = [total // known if side == -1 else side for side in size]
    logical = [sides[0], sides[3], sides[1], sides[2]] if len(sides) == 4 else sides
    if wanted == logical:
        return value
    if len(wanted) == 2 and len(logical) == 4 and wanted == logical[:2] and logical[2:] == [1, 1]:
        return tf.reshape(value, wanted)
    if len(wanted) == 4 and len(logical) == 2 and wanted[:2] == logical and wanted[2:] == [1, 1]:
        return tf.reshape(value, [wanted[0], 1, 1, wanted[1]])
    raise ValueError(f"a reshape from {logical} to {wanted}; only (B, C) to (B, C, 1, 1) and back keep the layout")


def _flatten(tf: TensorFlow, value: Tensor, start: int, end: int) -> Tensor:
    sides = shape(value)
    logical = [sides[0], sides[3], sides[1], sides[2]] if len(sides) == 4 else sides
    end = end % len(logical)
    return _reshape(tf, value, [*logical[:start], int(np.prod(logical[start : end + 1])), *logical[end + 1 :]])


def _unsqueeze(tf: TensorFlow, value: Tensor, dim: int) -> Tensor:
    """(B, C) to (B, C, 1, 1) takes two unsqueezes: the first gives (B, C, 1), the second turns that into NHWC."""
    if rank(value) == 2 and dim in (2, -1):
        return tf.reshape(value, [*shape(value), 1])
    if rank(value) == 3 and shape(value)[2] == 1 and dim in (3, -1):
        batch, channels, _ = shape(value)
        return tf.reshape(value, [batch, 1, 1, channels])
    raise ValueError(f"an unsqueeze of dimension {dim}; only (B, C) to (B, C, 1, 1) keeps the layout")


def _expand(tf: TensorFlow, value: Tensor, size: list[int], *_: object) -> Tensor:
    """Does nothing: the operators that use the result broadcast it."""
    return value


def _identity(tf: TensorFlow, value: Tensor, *_: object) -> Tensor:
    return value


def _linear(tf: TensorFlow, value: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    if rank(value) != 2:
        raise ValueError(f"a linear layer on {rank(value)} axes; use a 1x1 convolution")
    product = tf.linalg.matmul(value, weight.T)
    return product if bias is None else product + bias


SHAPE: Mapping[str, Callable[..., Any]] = {
    "aten.cat.default": _cat,
    "aten.slice.Tensor": _slice,
    "aten.split.Tensor": _split,
    "aten.split_with_sizes.default": _split,
    "aten.chunk.default": _chunk,
    "aten.pad.default": _pad,
    "aten.constant_pad_nd.default": _constant_pad,
    "aten.view.default": _reshape,
    "aten.reshape.default": _reshape,
    "aten._unsafe_view.default": _reshape,
    "aten.flatten.using_ints": _flatten,
    "aten.unsqueeze.default": _unsqueeze,
    "aten.expand.default": _expand,
    "aten.linear.default": _linear,
    "aten.clone.default": _identity,
    "aten.alias.default": _identity,
    "aten.detach.default": _identity,
    "aten.detach_.default": _identity,
    "aten.contiguous.default": _identity,
    "aten.dropout.default": _identity,
    "aten.feature_dropout.default": _identity,
    "aten.lift_fresh_copy.default": _identity,
    "aten._to_copy.default": _identity,
}
