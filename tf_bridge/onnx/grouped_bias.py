"""Moves the biases of grouped transposed convolutions, which ONNX Runtime's quantizer cannot quantize, to additions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto


def split_grouped_biases(model: ModelProto) -> ModelProto:
    """Adds the bias of every grouped transposed convolution in a node of its own, in place.

    The quantizer scales such weights, `(C, K / groups, ...)`, along the second dimension, and fails to bring the scales
    together with a bias of K values.

    Returns:
        The same model; it computes the same, and the sum has the name that the result of the convolution had.
    """
    graph = model.graph
    nodes = [split for node in graph.node for split in _split(graph, node)]
    if len(nodes) > len(graph.node):
        copies = [type(node).FromString(node.SerializeToString()) for node in nodes]  # deletion frees the originals
        del graph.node[:]
        graph.node.extend(copies)
    return model


def _split(graph: GraphProto, node: NodeProto) -> Iterator[NodeProto]:
    from onnx import helper, numpy_helper

    groups = next((each.i for each in node.attribute if each.name == "group"), 1)
    held = {each.name: each for each in graph.initializer if each.name in node.input[1:]}
    if node.op_type != "ConvTranspose" or groups == 1 or len(held) < 2:  # without bias, or weights are computed
        yield node
        return
    bias, rank = held[node.input[2]], len(held[node.input[1]].dims)
    output, summand = node.output[0], f"{node.output[0]}.bias"
    values = numpy_helper.to_array(bias).reshape(1, -1, *[1] * (rank - 2))  # (1, K, 1, 1)
    graph.initializer.append(numpy_helper.from_array(values, summand))
    node.output[0] = f"{output}.product"
    del node.input[2]
    yield node
    yield helper.make_node("Add", [node.output[0], summand], [output], name=f"{node.name}.bias")
