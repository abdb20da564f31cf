"""Translates a traced PyTorch network operator by operator to TensorFlow."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_bridge.lowering.layout import arranged, expanded
from tf_bridge.lowering.operators.activation import ACTIVATION
from tf_bridge.lowering.operators.comparison import COMPARISON
from tf_bridge.lowering.operators.indexing import INDEXING
from tf_bridge.lowering.operators.normalisation import NORMALISATION
from tf_bridge.lowering.operators.pointwise import POINTWISE
from tf_bridge.lowering.operators.product import PRODUCT
from tf_bridge.lowering.operators.reduction import REDUCTION
from tf_bridge.lowering.operators.shape import SHAPE, SHAPE_OF_EXPANDED
from tf_bridge.lowering.operators.spatial.convolution import CONVOLUTION
from tf_bridge.lowering.operators.spatial.padding import PADDING
from tf_bridge.lowering.operators.spatial.pooling import POOLING
from tf_bridge.lowering.operators.spatial.resize import RESIZE
from tf_bridge.lowering.operators.spatial.sampling import SAMPLING
from tf_bridge.lowering.operators.spatial.volume import VOLUME
from tf_bridge.lowering.operators.writing import WRITING
from tf_bridge.lowering.program import PreparedProgram, pack, prepare_program
from tf_bridge.lowering.unsupported import UnsupportedOperatorError, complaint, operator_name
from tf_bridge.lowering.values import Tensor, TensorFlow, Value, usual_order, value_of

if TYPE_CHECKING:
    from torch.export import ExportedProgram
    from torch.fx import Node

__all__ = ["Lowered", "UnsupportedOperatorError", "lower_program"]

Lowered = Callable[[Tensor], list[Tensor]]

# The tables of operators. To add one, write a function and add a line to the table of its group. The functions of the
# first table take values whose sides are expanded without copies; for the others the copies are made first.

_BROADCASTING: Mapping[str, Callable[..., Any]] = {**POINTWISE, **ACTIVATION, **COMPARISON, **SHAPE_OF_EXPANDED}
OPERATORS: Mapping[str, Callable[..., Any]] = {
    **_BROADCASTING,
    **CONVOLUTION,
    **NORMALISATION,
    **PRODUCT,
    **POOLING,
    **REDUCTION,
    **RESIZE,
    **SAMPLING,
    **SHAPE,
    **INDEXING,
    **WRITING,
    **VOLUME,
    **PADDING,
}


def lower_program(program: ExportedProgram, tf: TensorFlow) -> Lowered:
    """Returns a function of TensorFlow tensors that computes the same as the program.

    Images are NHWC, and data move only where an operator needs them in another order. Weights are rearranged once,
    during the translation. PyTorch computes whatever does not depend on the image.

    Args:
        program: one image in, static shapes; from `export_program` or `trace`.
        tf: the TensorFlow module.

    Returns:
        A function to be traced by `tf.function`: image `(B, H, W, C)` to the list of outputs, of which the first is
        the logits `(B, H, W, K)`. Outputs of four dimensions are NHWC, all others are as in PyTorch.

    Raises:
        UnsupportedOperatorError: for an unknown operator; the message names it and its layer and says what to do. For
            an unsupported use of a known operator, the returned function raises it while it is traced.
    """
    prepared = prepare_program(program, OPERATORS.keys())
    constants = {node: _numpy(value) for node, value in prepared.constants.items()}

    def lowered(image: Tensor) -> list[Tensor]:
        values: dict[Node, Any] = {**constants, prepared.image: value_of(image, (0, 2, 3, 1))}
        for node in prepared.graph.nodes:
            if node.op == "call_function":
                with tf.name_scope(node.meta.get("label", "values")):  # prefix of the tensor names in the exported file
                    values[node] = _call(node, values, tf)
        return _outputs(prepared, values, tf)

    return lowered


def _outputs(prepared: PreparedProgram, values: Mapping[Node, Any], tf: TensorFlow) -> list[Tensor]:
    outputs = []
    for node in prepared.outputs:
        value = values[node]
        if not isinstance(value, Value):  # does not depend on the image
            value = value_of(tf.constant(value), tuple(range(np.ndim(value))))
        with tf.name_scope(node.meta.get("label", "values")):
            outputs.append(arranged(tf, expanded(tf, value), usual_order(value.rank)).tensor)
    return outputs


def _numpy(value: Any) -> Any:
    """A constant as the operators take it: floats are float32, integers int32."""
    import torch

    if isinstance(value, tuple | list):
        return [_numpy(each) for each in value]
    if not isinstance(value, torch.Tensor):
        return value
    if value.is_complex():
        return value.numpy()
    kind = torch.float32 if value.is_floating_point() else value.dtype if value.dtype == torch.bool else torch.int32
    return value.detach().to(kind).numpy()


def _call(node: Node, values: Mapping[Node, Any], tf: TensorFlow) -> Any:
    try:
        return _checked(node, _result(node, values, tf))
    except UnsupportedOperatorError:
        raise
    except Exception as error:  # TensorFlow raises classes whose only common base is Exception
        source: Any = node.args[0] if node.target is operator.getitem else node
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UnsupportedOperatorError(complaint(source, f"cannot be expressed in TFLite: {reason}")) from error


def _result(node: Node, values: Mapping[Node, Any], tf: TensorFlow) -> Any:
    arguments = _resolve(list(node.args), values)
    if node.target is operator.getitem:
        part = arguments[0][arguments[1]]
        return part() if callable(part) else part  # a result that is computed only if it is used
    if node.target is pack:
        return arguments
    keywords = _resolve(dict(node.kwargs), values)
    # The program omits arguments that equal their default, e.g. the stride of a pooling; the schema lists them.
    for argument in node.target._schema.arguments[len(arguments) :]:  # type: ignore[union-attr]
        default = argument.default_value if argument.has_default_value() else None
        arguments.append(keywords.get(argument.name, default))
    name = operator_name(node)
    return OPERATORS[name](tf, *(arguments if name in _BROADCASTING else _with_copies(tf, arguments)))


def _with_copies(tf: TensorFlow, argument: Any) -> Any:
    if isinstance(argument, list):
        return [_with_copies(tf, each) for each in argument]
    return expanded(tf, argument) if isinstance(argument, Value) else argument


def _checked(node: Node, value: Any) -> Any:
    """The result of an operator, if it has the shape that it has in PyTorch."""
    expected = node.meta.get("val")
    if isinstance(value, Value) and tuple(expected.shape) != value.shape:  # type: ignore[union-attr]
        raise ValueError(f"its translation gives {value.shape}; expected {tuple(expected.shape)}")  # type: ignore[union-attr]
    return value


def _resolve(value: Any, values: Mapping[Node, Any]) -> Any:
    from torch.fx import Node

    if isinstance(value, Node):
        return values[value]
    if isinstance(value, list | tuple):
        return [_resolve(item, values) for item in value]
    if isinstance(value, dict):
        return {key: _resolve(item, values) for key, item in value.items()}
    return value
