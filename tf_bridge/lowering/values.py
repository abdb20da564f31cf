"""The values between lowered operators: TensorFlow tensors with their layout, and constants in PyTorch's layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensor = Any  # a TensorFlow tensor of the graph; Any because TensorFlow is imported late
TensorFlow = Any  # the module
Constant = NDArray[Any] | float  # known at export time: a weight, a literal tensor or a number


@dataclass(frozen=True)
class Value:
    """A tensor of the graph and how PyTorch's dimensions lie in it.

    PyTorch's shape is larger than the stored one where a side of 1 is expanded: operators that broadcast need no
    copies.
    """

    tensor: Tensor
    order: tuple[int, ...]  # PyTorch's dimension of every stored axis, e.g. (0, 2, 3, 1) for an NHWC map
    shape: tuple[int, ...]  # in PyTorch's order

    @property
    def rank(self) -> int:
        """Number of dimensions."""
        return len(self.order)

    @property
    def stored(self) -> list[int]:
        """Shape of the stored tensor, in stored order."""
        return [int(side) for side in self.tensor.shape]

    def axis(self, dim: int) -> int:
        """Stored axis of PyTorch's dimension `dim`, which may be negative."""
        return self.order.index(dim % self.rank)


Operand = Value | Constant


def value_of(tensor: Tensor, order: tuple[int, ...]) -> Value:
    """A stored tensor as a value without expanded sides."""
    shape = [0] * len(order)
    for dim, side in zip(order, tensor.shape, strict=True):
        shape[dim] = int(side)
    return Value(tensor, order, tuple(shape))


def graph_value(tf: TensorFlow, operand: Operand) -> Value:
    """The value, or a constant as one."""
    return operand if isinstance(operand, Value) else value_of(tf.constant(operand), tuple(range(np.ndim(operand))))


def same_layout(value: Value, tensor: Tensor) -> Value:
    """The result of an operation on `value` that keeps its layout and its number of axes."""
    if value.stored == [int(side) for side in tensor.shape]:
        return Value(tensor, value.order, value.shape)
    return value_of(tensor, value.order)


def usual_order(rank: int) -> tuple[int, ...]:
    """The layout of inputs and outputs: NHWC for four axes, else PyTorch's own."""
    return (0, 2, 3, 1) if rank == 4 else tuple(range(rank))


def channels_last(rank: int) -> tuple[int, ...]:
    """The layout that convolutions and poolings take: batch, then the sides of the image, then the channels."""
    return (0, *range(2, rank), 1)


def is_constant(value: object) -> bool:
    """Whether a value is known at export time: a weight or a number, not a tensor of the graph."""
    return isinstance(value, np.ndarray | np.generic | int | float)


def pair(value: int | list[int]) -> tuple[int, int]:
    """The values for height and width, from one number or a list of one or two."""
    values = [value] if isinstance(value, int) else list(value)
    return (values[0], values[-1])
