"""Linear layers, matrix products and attention in TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np

from tf_bridge.lowering.layout import arranged, reshaped, with_last
from tf_bridge.lowering.operators.pointwise import POINTWISE
from tf_bridge.lowering.operators.reduction import softmax
from tf_bridge.lowering.operators.shape import permuted
from tf_bridge.lowering.values import Operand, Tensor, TensorFlow, Value, graph_value, is_constant, value_of

_add, _multiply = POINTWISE["aten.add.Tensor"], POINTWISE["aten.mul.Tensor"]


def _linear(tf: TensorFlow, value: Value, weight: Operand, bias: Operand | None) -> Value:
    """Over the last dimension, for any number of others in any order; weight `(out, in)`."""
    if isinstance(weight, Value) or isinstance(bias, Value) or np.ndim(weight) != 2:
        if isinstance(weight, Value) and weight.rank == 2:
            weight = permuted(weight, (1, 0))
        product = matrix_product(tf, value, weight)
        return product if bias is None else _add(tf, product, bias)
    last = with_last(tf, value, -1)
    tensor = _linear_of_last(tf, last.tensor, np.asarray(weight))
    return value_of(
        tensor if bias is None else tf.nn.bias_add(tensor, bias) if last.rank == 4 else tensor + bias, last.order
    )


def _linear_of_last(tf: TensorFlow, tensor: Tensor, weight: Any) -> Tensor:
    """A pointwise convolution for four axes, which needs no reshape, else a product of matrices."""
    sides = [int(side) for side in tensor.shape]
    if len(sides) == 4:
        common = {"strides": [1, 1, 1, 1], "padding": "VALID"}
        return tf.raw_ops.Conv2D(input=tensor, filter=weight.T[None, None], **common)
    if len(sides) == 2:
        return tf.linalg.matmul(tensor, weight.T)
    flat = tf.reshape(tensor, [prod(sides[:-1]), sides[-1]])
    return tf.reshape(tf.linalg.matmul(flat, weight.T), [*sides[:-1], len(weight)])


def matrix_product(tf: TensorFlow, left: Operand, right: Operand) -> Value:
    """PyTorch's `matmul`: vectors, matrices, and batches of them, either of which may be a constant."""
    if _rank(left) == 1:
        product = matrix_product(tf, _reshaped(tf, left, (1, *_shape(left))), right)
        columns = product.shape[-1:] if _rank(right) > 1 else ()
        return reshaped(tf, product, (*product.shape[: product.rank - 1 - len(columns)], *columns))
    if _rank(right) == 1:
        product = matrix_product(tf, left, _reshaped(tf, right, (*_shape(right), 1)))
        return reshaped(tf, product, product.shape[:-1])
    if isinstance(left, Value) and is_constant(right) and _rank(right) == 2:
        return _linear(tf, left, np.asarray(right).T, None)
    if isinstance(right, Value) and is_constant(left) and _rank(left) == 2:
        return _swapped(_linear(tf, _swapped(right), left, None))
    return _batch_product(tf, graph_value(tf, left), graph_value(tf, right))


def _batch_product(tf: TensorFlow, left: Value, right: Value) -> Value:
    rank = max(left.rank, right.rank)
    left, right = (reshaped(tf, each, (*[1] * (rank - each.rank), *each.shape)) for each in (left, right))
    if left.axis(-1) < left.axis(-2):  # stored transposed: then the transposed product moves no data afterwards either
        return _swapped(_batch_product_as_stored(tf, _swapped(right), _swapped(left)))
    return _batch_product_as_stored(tf, left, right)


def _batch_product_as_stored(tf: TensorFlow, left: Value, right: Value) -> Value:
    """The product with the rows stored before the columns."""
    rank = left.rank
    batch = tuple(dim for dim in max(left, right, key=lambda each: prod(each.shape[:-2])).order if dim < rank - 2)
    tensors, flags = [], []
    for value in (left, right):
        matrix = tuple(dim for dim in value.order if dim >= rank - 2)
        tensors.append(arranged(tf, value, (*batch, *matrix)).tensor)
        flags.append(matrix[0] == rank - 1)
    sides = [[int(side) for side in tensor.shape] for tensor in tensors]
    if rank > 4 and sides[0][:-2] == sides[1][:-2]:
        flat = [tf.reshape(tensor, [prod(side[:-2]), *side[-2:]]) for tensor, side in zip(tensors, sides, strict=True)]
        product = tf.linalg.matmul(*flat, transpose_a=flags[0], transpose_b=flags[1])
        product = tf.reshape(product, [*sides[0][:-2], *product.shape[-2:]])
    else:
        product = tf.linalg.matmul(*tensors, transpose_a=flags[0], transpose_b=flags[1])
    return value_of(product, (*batch, rank - 2, rank - 1))


def _swapped(value: Value) -> Value:
    """Rows and columns exchanged; no data move."""
    return permuted(value, (*range(value.rank - 2), value.rank - 1, value.rank - 2))


def _rank(operand: Operand) -> int:
    return operand.rank if isinstance(operand, Value) else np.ndim(operand)


def _shape(operand: Operand) -> tuple[int, ...]:
    return operand.shape if isinstance(operand, Value) else np.shape(operand)


def _reshaped(tf: TensorFlow, operand: Operand, shape: tuple[int, ...]) -> Operand:
    return reshaped(tf, operand, shape) if isinstance(operand, Value) else np.asarray(operand).reshape(shape)


def _product_and_sum(
    tf: TensorFlow, summand: Operand, left: Operand, right: Operand, beta: float, alpha: float
) -> Value:
    product: Operand = matrix_product(tf, left, right)
    product = product if alpha == 1 else _multiply(tf, product, alpha)
    if beta == 0:
        return product  # type: ignore[return-value]
    return _add(tf, product, summand if beta == 1 else _multiply(tf, summand, beta))  # type: ignore[no-any-return]


def _attention(
    tf: TensorFlow,
    query: Value,
    key: Operand,
    value: Operand,
    mask: Operand | None,
    dropout: float,
    causal: bool,
    scale: float | None,
    grouped: bool,
) -> Value:
    """Scaled dot product attention over the last two dimensions; groups of queries are decomposed before."""
    if dropout > 0 or grouped:
        raise ValueError("attention with dropout or grouped queries; call it with neither")
    length, source = _shape(query)[-2], _shape(key)[-2]
    scores = matrix_product(tf, query, _transposed(key))
    scores = _multiply(tf, scores, scale if scale is not None else _shape(query)[-1] ** -0.5)
    if causal:
        mask = np.tril(np.ones((length, source), bool))
    if mask is not None:
        scores = _add(tf, scores, _summand(tf, mask))
    return matrix_product(tf, softmax(tf, scores, -1), value)


def _transposed(operand: Operand) -> Operand:
    return _swapped(operand) if isinstance(operand, Value) else np.asarray(operand).swapaxes(-1, -2)


def _summand(tf: TensorFlow, mask: Operand) -> Operand:
    """What a mask adds to the scores. A number that softmax turns into 0 stands for -inf, which int8 cannot hold."""
    if isinstance(mask, Value):
        if not mask.tensor.dtype.is_bool:
            return mask
        hidden = tf.cast(tf.logical_not(mask.tensor), tf.float32)
        return value_of(hidden * np.float32(_MASKED), mask.order)
    array = np.asarray(mask)
    return np.where(array, 0, _MASKED).astype(np.float32) if array.dtype == np.bool_ else array


_MASKED = -1e4

PRODUCT: Mapping[str, Callable[..., Any]] = {
    "aten.linear.default": _linear,
    **{f"aten.{name}.default": matrix_product for name in ("matmul", "mm", "bmm", "mv", "dot", "vdot")},
    "aten.addmm.default": _product_and_sum,
    "aten.baddbmm.default": _product_and_sum,
    "aten.scaled_dot_product_attention.default": _attention,
}
