"""Turns a traced PyTorch network into TensorFlow operations, one by one, in NHWC."""

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

# The table of operators: a new one is one function and one line in its group.

OPERATORS: Mapping[str, Callable[..., Any]] = {
    **CONVOLUTION,
    **POINTWISE,
    **POOLING,
    **REDUCTION,
    **RESIZE,
    **SHAPE,
}


class UnsupportedOperatorError(ValueError):
    """An operator, or a use of one, that has no counterpart here."""


def lower_program(program: ExportedProgram, tf: TensorFlow) -> Lowered:
    """Gives a function of TensorFlow tensors that computes what the program computes.

    Tensors of rank 4 are NHWC throughout, so no layout change ever enters the graph; weights are transposed here, once.

    Args:
        program: one image in, static shapes; from `export_program` or `trace`.
        tf: the TensorFlow module.

    Returns:
        `(B, H, W, C)` image to the list of outputs, logits `(B, H, W, K)`, to be traced by `tf.function`.

    Raises:
        UnsupportedOperatorError: when an operator is unknown; names it, its layer and what to do. Uses of a known
            operator that cannot be expressed raise it while the returned function is traced.
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
                with tf.name_scope(names.get(node.name, "values")):  # the names of the file's tensors begin with it
                    values[node.name] = _call(node, values, tf)
            elif node.op == "output":
                return list(_resolve(node.args[0], values))
        raise AssertionError("a traced graph ends with its outputs")

    return lowered


def _constants(program: ExportedProgram) -> dict[str, Any]:
    """Weights, buffers and literal tensors by the name of their placeholder, in PyTorch's layout."""
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
    # The program leaves arguments out that equal their default (a pool's stride, say); the schema knows them.
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
