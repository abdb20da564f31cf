"""The operations of an int8 TFLite file that compute places to sample an image at, for which 256 steps are too few."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from torchseg.modelfile.tflite import TfliteModel

_SAMPLING = "/grid_sampler"  # part of the names of their results, after the PyTorch layer
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

    These are the sampling itself and the arithmetic on its coordinates, back to the last layer with weights.

    Args:
        content: bytes of a float32 `.tflite` file whose tensors are named after PyTorch's layers and operators.
    """
    file = TfliteModel(content)
    graph = file.graph
    made_by = {int(tensor): operation for operation in graph.operators for tensor in operation.outputs}

    def name_of(operation: Any) -> str:
        return str(graph.tensors[operation.outputs[0]].name.decode())

    sampling = [operation for operation in graph.operators if _SAMPLING in name_of(operation)]
    if not sampling:
        return set()
    pixels = set(_pixels(file, sampling, made_by))
    chosen = {name_of(operation) for operation in sampling}
    waiting = [int(index) for operation in sampling for index in operation.inputs if int(index) not in pixels]
    while waiting:
        operation = made_by.get(waiting.pop())
        if operation is None or file.kind(operation) not in _ARITHMETIC or name_of(operation) in chosen:
            continue
        chosen.add(name_of(operation))
        waiting += [int(index) for index in operation.inputs]
    return chosen


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
