"""Stores the scales of biases and the zero points of a QDQ int8 file in fewer bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

Arrays = Mapping[str, NDArray[Any]]
_WITH_BIAS = ("Conv", "ConvTranspose", "Gemm")  # operators of an image, a weight and a bias
_MIN_VALUES = 16  # below, an operator takes about as many bytes as it saves


def shorten_quantization(graph: GraphProto) -> dict[str, NDArray[Any]]:
    """Replaces constants that a DequantizeLinear reads by operators that compute them, in place.

    - The scale of a bias is the product of the scales of image and weight, so a multiplication takes the place of one
      float32 per channel.
    - A zero point of zeros alone is a zero and a length.

    Args:
        graph: of a whole model; modified. Inputs of the graph stay, because the caller may give others.

    Returns:
        The constants that were replaced, by name; the graph computes them under the same names.
    """
    from onnx import helper, numpy_helper

    inputs = {value.name for value in graph.input}
    stored = {each.name: numpy_helper.to_array(each) for each in graph.initializer if each.name not in inputs}
    nodes, lengths = [], []
    for name, factors in _products(graph, stored).items():
        nodes.append(helper.make_node("Mul", factors, [name]))
    for name in _zero_points(graph, stored):
        zero = numpy_helper.from_array(np.zeros(1, stored[name].dtype))
        lengths.append(numpy_helper.from_array(np.array([stored[name].size]), f"{name}.n"))
        nodes.append(helper.make_node("ConstantOfShape", [lengths[-1].name], [name], value=zero))
    computed = {name: stored[name] for node in nodes for name in node.output}
    kept, others = [each for each in graph.initializer if each.name not in computed], list(graph.node)
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend([*kept, *lengths])
    graph.node.extend([*nodes, *others])
    return computed


def _products(graph: GraphProto, stored: Arrays) -> dict[str, tuple[str, str]]:
    """The scale of each bias that is a product to the bit, and the scales of image and weight that it is one of."""
    makers = {name: node for node in graph.node for name in node.output}
    found = {}
    for node in graph.node:
        if node.op_type not in _WITH_BIAS or len(node.input) < 3:
            continue
        image, weight, scale = (_scale(makers.get(name)) for name in node.input[:3])
        if {image, weight, scale} <= stored.keys() and stored[scale].size >= _MIN_VALUES:
            product = stored[image] * stored[weight]
            if product.shape == stored[scale].shape and product.tobytes() == stored[scale].tobytes():
                found[scale] = (image, weight)
    factors = {name for pair in found.values() for name in pair}
    return {name: pair for name, pair in found.items() if name not in factors}


def _scale(maker: NodeProto | None) -> str:
    return maker.input[1] if maker is not None and maker.op_type == "DequantizeLinear" else ""


def _zero_points(graph: GraphProto, stored: Arrays) -> Iterator[str]:
    names = {node.input[2] for node in graph.node if node.op_type == "DequantizeLinear" and len(node.input) > 2}
    for name in sorted(names & stored.keys()):
        values = stored[name]
        if values.ndim == 1 and values.nbytes >= 4 * _MIN_VALUES and not values.any():
            yield name
