"""Reductions and softmax in TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tf_bridge.lowering.values import Tensor, TensorFlow, axis_of, rank


def _reduction(name: str) -> Callable[..., Any]:
    """A reduction function of `tf` over PyTorch's dimensions; raises if the layout of its result would be unclear."""

    def reduce(tf: TensorFlow, value: Tensor, dims: list[int] | int | None, keep: bool = False, *_: object) -> Tensor:
        axes = _axes(dims, rank(value))
        left = rank(value) if keep else rank(value) - len(axes)
        if rank(value) == 4 and not keep and left != 0 and sorted(axes) != [1, 2]:
            raise ValueError(f"a reduction over dimensions {dims} that drops them; reduce with keepdim=True")
        return getattr(tf, name)(value, axis=axes, keepdims=keep)

    return reduce


def _axes(dims: list[int] | int | None, tensor_rank: int) -> list[int]:
    if dims is None or dims == []:
        return list(range(tensor_rank))
    chosen = [dims] if isinstance(dims, int) else dims
    return sorted(axis_of(dim, tensor_rank) for dim in chosen)


def _max_dim(tf: TensorFlow, value: Tensor, dim: int, keep: bool = False) -> list[Tensor]:
    return [_reduction("reduce_max")(tf, value, dim, keep)]


def _softmax(tf: TensorFlow, value: Tensor, dim: int, *_: object) -> Tensor:
    if axis_of(dim, rank(value)) != rank(value) - 1:
        raise ValueError(f"softmax over dimension {dim}; TFLite has it over the channels alone, dimension 1")
    return tf.nn.softmax(value, axis=-1)


def _log_softmax(tf: TensorFlow, value: Tensor, dim: int, *_: object) -> Tensor:
    if axis_of(dim, rank(value)) != rank(value) - 1:
        raise ValueError(f"log_softmax over dimension {dim}; TFLite has it over the channels alone, dimension 1")
    return tf.nn.log_softmax(value, axis=-1)


REDUCTION: Mapping[str, Callable[..., Any]] = {
    "aten.mean.dim": _reduction("reduce_mean"),
    "aten.sum.dim_IntList": _reduction("reduce_sum"),
    "aten.amax.default": _reduction("reduce_max"),
    "aten.amin.default": _reduction("reduce_min"),
    "aten.max.dim": _max_dim,
    "aten.softmax.int": _softmax,
    "aten._softmax.default": _softmax,
    "aten.log_softmax.int": _log_softmax,
    "aten._log_softmax.default": _log_softmax,
}
