"""Stores the scales and the zero points of a QDQ int8 file in fewer bytes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
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
    - Other scales that float16 can hold are stored in it.
    - A zero point of zeros alone is a zero and a length.

    Args:
        graph: of a whole model; modified. Inputs of the graph stay, because the caller may give others.

    Returns:
        The constants that were replaced, by name; the graph computes them under the same names.
    """
    from onnx import TensorProto, helper, numpy_helper

    inputs = {value.name for value in graph.input}
    stored = {each.name: numpy_helper.to_array(each) for each in graph.initializer if each.name not in inputs}
    products, nodes, added = _products(graph, stored), [], []
    for name in _halves(graph, stored, products):
        added.append(numpy_helper.from_array(stored[name].astype(np.float16), f"{name}.h"))
        nodes.append(helper.make_node("Cast", [added[-1].name], [name], to=TensorProto.FLOAT))
    for name, factors in products.items():
        nodes.append(helper.make_node("Mul", factors, [name]))
    for name in _zero_points(graph, stored):
        zero = numpy_helper.from_array(np.zeros(1, stored[name].dtype))
        added.append(numpy_helper.from_array(np.array([stored[name].size]), f"{name}.n"))
        nodes.append(helper.make_node("ConstantOfShape", [added[-1].name], [name], value=zero))
    computed = {name: stored[name] for node in nodes for name in node.output}
    kept, others = [each for each in graph.initializer if each.name not in computed], list(graph.node)
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend([*kept, *added])
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


def _halves(graph: GraphProto, stored: Arrays, products: Collection[str]) -> Iterator[str]:
    """The other scales that float16 holds to the bit."""
    names = {node.input[1] for node in graph.node if node.op_type == "DequantizeLinear"}
    for name in sorted(names & stored.keys() - set(products)):
        values = stored[name]
        with np.errstate(over="ignore"):
            exact = np.array_equal(values, values.astype(np.float16))
        if exact and values.dtype == np.float32 and values.size >= _MIN_VALUES:
            yield name


def _zero_points(graph: GraphProto, stored: Arrays) -> Iterator[str]:
    names = {node.input[2] for node in graph.node if node.op_type == "DequantizeLinear" and len(node.input) > 2}
    for name in sorted(names & stored.keys()):
        values = stored[name]
        if values.ndim == 1 and values.nbytes >= 4 * _MIN_VALUES and not values.any():
            yield name
