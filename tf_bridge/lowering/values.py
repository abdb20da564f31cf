"""The values between lowered operators: TensorFlow tensors in NHWC, and constants in PyTorch's layout."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensor = Any  # a TensorFlow tensor of the graph, or a constant; Any because TensorFlow is imported late
TensorFlow = Any  # the module

_TO_NHWC = (0, 2, 3, 1)


def is_constant(value: Tensor) -> bool:
    """Whether a value is known at export time: a weight or a number, not a tensor of the graph."""
    return isinstance(value, np.ndarray | int | float)


def rank(value: Tensor) -> int:
    """Number of axes of a tensor; 0 for a plain number."""
    return len(value.shape) if hasattr(value, "shape") else 0


def shape(value: Tensor) -> list[int]:
    """Static shape in storage order: NHWC for a graph tensor of rank 4."""
    return [int(side) for side in value.shape]


def axis_of(dim: int, tensor_rank: int) -> int:
    """Axis of PyTorch's dimension `dim` in a graph tensor, which is NHWC if its rank is 4."""
    dim %= tensor_rank
    return (0, 3, 1, 2)[dim] if tensor_rank == 4 else dim


def transposed(constant: NDArray[Any] | float, tensor_rank: int) -> Tensor:
    """A float32 constant in the layout that broadcasts against a graph tensor of this rank."""
    if not isinstance(constant, np.ndarray) or constant.ndim == 0:
        return np.float32(constant)
    if tensor_rank != 4:
        return constant.astype(np.float32)
    full = constant.reshape((1,) * (4 - constant.ndim) + constant.shape)
    return full.transpose(_TO_NHWC).astype(np.float32)


def pair(value: int | list[int]) -> tuple[int, int]:
    """The values for height and width, from one number or a list of one or two."""
    values = [value] if isinstance(value, int) else list(value)
    return (values[0], values[-1])
