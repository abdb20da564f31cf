"""The operations of an int8 TFLite file for which 256 steps are too few: they stay in float."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from tf_bridge.onnx.attention import SMALL_SHARE
from tf_bridge.tflite.ranges import LARGEST, is_measured, result_name
from torchseg.modelfile.tflite import TfliteModel

_SAMPLING = "/grid_sampler"  # part of the names of their results, after the PyTorch layer
_DIVISORS = frozenset({"SQRT", "POW", "SQUARE", "MEAN", "REDUCE_MAX", "REDUCE_MIN", "EXP", "SQUARED_DIFFERENCE"})
_COMPARISONS = ("LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL")
_PRODUCTS = ("BATCH_MATMUL", "FULLY_CONNECTED")
# What is between the layer that predicts a flow or a transformation and the places that are made of it.
_ARITHMETIC = frozenset(
    {
        *("ADD", "SUB", "MUL", "DIV", "SUM", "BATCH_MATMUL", "TANH", "MAXIMUM", "MINIMUM", "ABS", "FLOOR", "NEG"),
        *("RESHAPE", "TRANSPOSE", "CONCATENATION", "PACK", "SLICE", "STRIDED_SLICE", "SPLIT", "SQUEEZE", "EXPAND_DIMS"),
        *("TILE", "BROADCAST_TO", "REVERSE_V2", "PAD"),
    }
)


def float_operations(content: bytes) -> set[str]:
    """Names of the results of the operations that should stay in float in an int8 file.

    These are sampling at computed places, with the arithmetic on its coordinates back to the last layer with weights;
    divisions by what may be rounded to zero, which end the run, with the arithmetic that makes the divisor; and a
    softmax of which all values are small, with the product that reads it; and comparisons with infinity, which would
    become the end of a grid.

    Args:
        content: bytes of a float32 `.tflite` file whose tensors have measured ranges, and are named after PyTorch's
            layers and operators.
    """
    file = TfliteModel(content)
    graph = file.graph
    made_by = {int(tensor): operation for operation in graph.operators for tensor in operation.outputs}
    sampling = [each for each in graph.operators if _SAMPLING in result_name(graph, each)]
    pixels = set(_pixels(file, sampling, made_by))
    places = [int(index) for operation in sampling for index in operation.inputs if int(index) not in pixels]
    chosen = {result_name(graph, each) for each in (*sampling, *_small_softmaxes(file), *_tests_of_infinity(file))}
    chosen |= _arithmetic(file, places, made_by, _ARITHMETIC)
    for division in (each for each in graph.operators if file.kind(each) == "DIV"):
        divisor = int(division.inputs[1])
        made = _arithmetic(file, [divisor], made_by, _ARITHMETIC | _DIVISORS)
        dividing = [tensor for tensor, maker in made_by.items() if result_name(graph, maker) in made]
        if any(_may_be_zero(graph, tensor) for tensor in (divisor, *dividing)):
            chosen |= {result_name(graph, division), *made}
    return chosen


def _tests_of_infinity(file: TfliteModel) -> Iterator[Any]:
    for operation in file.graph.operators:
        if file.kind(operation) in _COMPARISONS:
            held = [file.data(file.graph.tensors[int(index)]) for index in operation.inputs]
            if any(each is not None and (np.abs(each.view(np.float32)) >= LARGEST).all() for each in held):
                yield operation


def _arithmetic(file: TfliteModel, tensors: list[int], made_by: dict[int, Any], kinds: frozenset[str]) -> set[str]:
    """Names of the results of all operations of these kinds that tensors are computed with, without a gap."""
    found: set[str] = set()
    while tensors:
        operation = made_by.get(tensors.pop())
        if operation is not None and file.kind(operation) in kinds and result_name(file.graph, operation) not in found:
            found.add(result_name(file.graph, operation))
            tensors += [int(index) for index in operation.inputs]
    return found


def _range(graph: Any, tensor: int) -> tuple[float, float] | None:
    """The measured range of a tensor; None for constants."""
    found = graph.tensors[tensor]
    return (float(found.quantization.min[0]), float(found.quantization.max[0])) if is_measured(found) else None


def _may_be_zero(graph: Any, tensor: int) -> bool:
    """Whether a tensor has values that are smaller than one step of its grid."""
    ends = _range(graph, tensor)
    if ends is None:
        return False
    low, high = ends
    step = (max(high, 0.0) - min(low, 0.0)) / 255
    return low < step and high > -step


def _small_softmaxes(file: TfliteModel) -> Iterator[Any]:
    """The softmaxes of which no value is large, and the products of matrices that read them."""
    graph = file.graph
    for softmax in graph.operators:
        result = int(softmax.outputs[0])
        ends = _range(graph, result)
        if file.kind(softmax) == "SOFTMAX" and ends is not None and ends[1] < SMALL_SHARE:
            yield softmax
            yield from (each for each in graph.operators if file.kind(each) in _PRODUCTS and result in each.inputs)


def _pixels(file: TfliteModel, sampling: Iterable[Any], made_by: dict[int, Any]) -> Iterator[int]:
    """The tensors of the image that is sampled, on their way into the GATHER that takes its pixels."""
    for operation in sampling:
        if file.kind(operation) != "GATHER":
            continue
        place = int(operation.inputs[0])
        yield place
        while (before := made_by.get(place)) is not None and file.kind(before) in ("RESHAPE", "TRANSPOSE"):
            place = int(before.inputs[0])
            yield place
