"""The error for operators that TFLite files cannot hold, and what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.fx import Node


class UnsupportedOperatorError(ValueError):
    """An operator, or a use of one, that cannot be exported."""


def operator_name(node: Node) -> str:
    """Name of an operator as the tables have it, e.g. `aten.conv2d.default`."""
    return str(node.target)


_ADVICE = "replace that layer by a supported one, or add a function to a table of tf_bridge/lowering/lower.py"


def complaint(node: Node, problem: str, *, advice: str = _ADVICE) -> str:
    """Names the operator and its layer, says what is wrong and what to do."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    path, kind = stack[-1] if stack else ("", "the network's own forward")
    kind = kind if isinstance(kind, str) else kind.__name__
    layer = f"'{path}' ({kind})" if path else str(kind)
    outer = node.meta.get("decomposed")
    name = f"{outer} ({operator_name(node)} in its decomposition)" if outer else operator_name(node)
    return f"operator {name} in layer {layer} {problem}; {advice}"
