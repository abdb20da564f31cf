"""Names the tensors of an exported file after the PyTorch layers that compute them."""

from __future__ import annotations

import operator
import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.fx import Graph, Node

_SHORT = {"native_batch_norm_legit_no_training": "batch_norm"}
_PRODUCTS = ("conv", "linear", "addmm", "mm")  # operators of layers with weights
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.]+")  # of TensorFlow; a part of a list is called `slice(1, None, None)`
_WHOLE_NETWORK = "forward"  # no submodule can have this name: it would hide the method


def layer_names(graph: Graph) -> dict[str, str]:
    """Gives every node that computes a tensor the name `LAYER/OPERATOR`.

    The second use of an operator in a layer ends in `_2`, and so on. Counting per layer keeps a name stable when other
    layers, or computations that only concern sizes, are added or removed.

    Args:
        graph: of a traced network, decomposed to `aten` operators.

    Returns:
        Node name to tensor name. An operator with several results shares its name with its first result.
    """
    counts: Counter[tuple[str, str]] = Counter()
    names: dict[str, str] = {}
    for node in graph.nodes:
        if node.op != "call_function":
            continue
        if node.target is operator.getitem:
            source, index = node.args
            if index == 0 and source.name in names:
                names[node.name] = names[source.name]
        elif str(node.target).startswith("aten."):
            key = (layer_of(node), _operator(node))
            counts[key] += 1
            suffix = f"_{counts[key]}" if counts[key] > 1 else ""
            names[node.name] = f"{key[0]}/{key[1]}{suffix}"
    return names


def layer_of(node: Node) -> str:
    """Path of the innermost layer that contains a node, e.g. `decode.2.0`; `forward` outside any layer."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    return _NOT_IN_NAMES.sub("_", stack[-1][0] if stack else "") or _WHOLE_NETWORK


def layer_of_tensor(name: str) -> str:
    """Path of the layer that a TFLite tensor belongs to.

    Tensors are called `LAYER/OPERATOR/...`. Fused operations have names joined by `;`; the first of these layers
    that has weights (convolution or matrix product) is returned, or else the first.
    """
    parts = [part.split("/") for part in name.split(";")]
    products = [part[0] for part in parts if len(part) > 1 and part[1].startswith(_PRODUCTS)]
    return products[0] if products else parts[0][0]


def _operator(node: Node) -> str:
    plain = str(node.target).split(".")[1].strip("_")
    return _SHORT.get(plain, plain)
