"""Roundings in a TFLite file that serve no operation."""

from __future__ import annotations

from typing import Any

_FLOAT32 = 0  # of the schema's TensorType


def drop_idle_roundings(content: bytes) -> bytes:
    """Removes each QUANTIZE whose integers are only turned back into floats.

    The converter leaves such pairs beside slices and concatenations of float layers: they cost accuracy and time.
    """
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    graph = model.subgraphs[0]
    kinds = [flatbuffer_utils.opcode_to_name(model, at) for at in range(len(model.operatorCodes))]

    def kind(operation: Any) -> str:
        return str(kinds[operation.opcodeIndex])

    made_by = {int(tensor): each for each in graph.operators for tensor in each.outputs}
    originals: dict[int, int] = {}  # what is turned back into floats -> the floats that it came from
    for operation in graph.operators:
        if kind(operation) != "DEQUANTIZE" or operation.outputs[0] in graph.outputs:
            continue
        source = int(operation.inputs[0])
        while source in made_by and kind(made_by[source]) == "QUANTIZE":
            source = int(made_by[source].inputs[0])
        if graph.tensors[source].type == _FLOAT32:
            originals[int(operation.outputs[0])] = source
    for operation in graph.operators:
        operation.inputs = [originals.get(int(tensor), int(tensor)) for tensor in operation.inputs]
    graph.operators = _needed(graph, [each for each in graph.operators if kind(each) in ("QUANTIZE", "DEQUANTIZE")])
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _needed(graph: Any, roundings: list[Any]) -> list[Any]:
    """The graph's operations without those roundings whose result nothing takes."""
    kept, idle = list(graph.operators), roundings
    while idle:
        taken = {int(tensor) for each in kept for tensor in each.inputs} | {int(tensor) for tensor in graph.outputs}
        idle = [each for each in roundings if each in kept and int(each.outputs[0]) not in taken]
        kept = [each for each in kept if each not in idle]
    return kept
