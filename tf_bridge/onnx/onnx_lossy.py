"""Refuses what torch.onnx.export would translate into something else without a word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tf_bridge.layer_names import layer_of

if TYPE_CHECKING:
    from torch.fx import Graph

_DIVISOR = 6  # place of the argument `divisor_override` of aten.avg_pool2d


def refuse_lossy(graph: Graph) -> None:
    """Looks through a traced network.

    Raises:
        ValueError: for an average pooling with a divisor of its own: ONNX has none, and the exporter leaves it out.
    """
    for node in graph.nodes:
        if str(node.target) == "aten.avg_pool2d.default":
            divisor = node.args[_DIVISOR] if len(node.args) > _DIVISOR else node.kwargs.get("divisor_override")
            if divisor is not None:
                raise ValueError(
                    f"layer '{layer_of(node)}' is an average pooling with divisor_override={divisor}, which ONNX does "
                    "not have; leave it out and multiply the result by the area of the window over the divisor"
                )
