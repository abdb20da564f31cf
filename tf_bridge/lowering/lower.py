"""Translates a traced PyTorch network operator by operator to TensorFlow, in NHWC."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tf_bridge.layer_names import layer_names
from tf_bridge.lowering.convolution import CONVOLUTION
from tf_bridge.lowering.pointwise import POINTWISE
from tf_bridge.lowering.pooling import POOLING
from tf_bridge.lowering.reduction import REDUCTION
from tf_bridge.lowering.resize import RESIZE
from tf_bridge.lowering.shape import SHAPE
from tf_bridge.lowering.values import Tensor, TensorFlow

if TYPE_CHECKING:
    from torch.export import ExportedProgram
    from torch.fx import Node


Lowered = Callable[[Tensor], list[Tensor]]

# The table of operators. To add one, write a function and add a line to the table of its group.

OPERATORS: Mapping[str, Callable[..., Any]] = {
    **CONVOLUTION,
    **POINTWISE,
    **POOLING,
    **REDUCTION,
    **RESIZE,
    **SHAPE,
}


class UnsupportedOperatorError(ValueError):
    """An operator, or a use of one, that cannot be exported."""


def lower_program(program: ExportedProgram, tf: TensorFlow) -> Lowered:
    """Returns a function of TensorFlow tensors that computes the same as the program.

    Tensors of rank 4 are NHWC throughout, so the graph contains no layout conversions. Weights are transposed once,
    during the translation.

    Args:
        program: one image in, static shapes; from `export_program` or `trace`.
        tf: the TensorFlow module.

    Returns:
        A function to be traced by `tf.function`: image `(B, H, W, C)` to the list of outputs, of which the first is
        the logits `(B, H, W, K)`.

    Raises:
        UnsupportedOperatorError: for an unknown operator; the message names it and its layer and says what to do. For
            an unsupported use of a known operator, the returned function raises it while it is traced.
    """
    for node in program.graph.nodes:
        if node.op == "call_function" and node.target is not operator.getitem and _name(node) not in OPERATORS:
            raise UnsupportedOperatorError(_complaint(node, "is not known to the TFLite exporter"))
    constants, names = _constants(program), layer_names(program.graph)

    def lowered(image: Tensor) -> list[Tensor]:
        values: dict[str, Any] = dict(constants)
        for node in program.graph.nodes:
            if node.op == "placeholder":
                values.setdefault(node.name, image)
            elif node.op == "call_function":
                with tf.name_scope(names.get(node.name, "values")):  # prefix of the tensor names in the exported file
                    values[node.name] = _call(node, values, tf)
            elif node.op == "output":
                return list(_resolve(node.args[0], values))
        raise AssertionError("a traced graph ends with its outputs")

    return lowered


def _constants(program: ExportedProgram) -> dict[str, Any]:
    """Weights, buffers and literal tensors in PyTorch's layout, keyed by the name of their placeholder."""
    signature = program.graph_signature
    sources = {**program.constants, **program.state_dict}
    named = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    return {name: sources[source].detach().cpu().numpy() for name, source in named.items()}


def _call(node: Node, values: dict[str, Any], tf: TensorFlow) -> Tensor:
    arguments = _resolve(list(node.args), values)
    if node.target is operator.getitem:
        return arguments[0][arguments[1]]
    keywords = _resolve(dict(node.kwargs), values)
    # The program omits arguments that equal their default, e.g. the stride of a pooling; the schema lists them.
    for argument in node.target._schema.arguments[len(arguments) :]:  # type: ignore[union-attr]
        default = argument.default_value if argument.has_default_value() else None
        arguments.append(keywords.get(argument.name, default))
    try:
        return OPERATORS[_name(node)](tf, *arguments)
    except UnsupportedOperatorError:
        raise
    except ValueError as error:
        raise UnsupportedOperatorError(_complaint(node, f"cannot be expressed in TFLite: {error}")) from error


def _resolve(value: Tensor, values: dict[str, Any]) -> Tensor:
    from torch.fx import Node

    if isinstance(value, Node):
        return values[value.name]
    if isinstance(value, list | tuple):
        return [_resolve(item, values) for item in value]
    if isinstance(value, dict):
        return {key: _resolve(item, values) for key, item in value.items()}
    return value


def _name(node: Node) -> str:
    return str(node.target)


def _complaint(node: Node, problem: str) -> str:
    stack = list(node.meta.get("nn_module_stack", {}).values())
    path, kind = stack[-1] if stack else ("", "the network's own forward")
    kind = kind if isinstance(kind, str) else kind.__name__
    layer = f"'{path}' ({kind})" if path else str(kind)
    return (
        f"operator {_name(node)} in layer {layer} {problem}; replace that layer by a supported one, "
        "or add a function for the operator to a table of tf_bridge/lowering/lower.py"
    )
