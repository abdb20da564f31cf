"""Gives the values of a packed ONNX file the names that packing shortened, from the float32 graph of its network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torchseg.modelfile.metadata import METADATA_PREFIX
from torchseg.modelfile.model_file import complete_file

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

STORAGE = f"{METADATA_PREFIX}storage"  # the metadata entry that marks a packed file
_CODES = ("QuantizeLinear", "DequantizeLinear")
_REMOVED = ("Relu", "Clip")  # the quantizer takes them into the grid of the operator before
_DEQUANTIZED = "_DequantizeLinear_Output"


def is_packed(path: Path) -> bool:
    """Whether `pack_onnx` wrote this `.onnx` file; raises ValueError for a damaged one."""
    return STORAGE in complete_file(path).metadata


def restore_names(packed: ModelProto, graph: ModelProto) -> None:
    """Renames the values of a packed file in place, up to the first operator that the network does not have.

    Operators are matched by their type, by the values that they read and, where several read the same, by the name of
    their weights, which packing keeps.

    Args:
        packed: from `pack_onnx`, int8 or float32.
        graph: the network in float32, with values named after layers.
    """
    (image,) = packed.graph.input
    found = _Operators(packed.graph)
    values = {graph.graph.input[0].name: image.name}  # of the network -> of the packed file
    names = {image.name: image.name}
    for node in graph.graph.node:
        read = [values[name] for name in node.input if name in values]
        if not read:
            continue
        match = found.take(node.op_type, read, node.input[1] if len(node.input) > 1 else "")
        if match is None and node.op_type not in _REMOVED:
            break
        values[node.output[0]] = match.output[0] if match else read[0]
        names[values[node.output[0]]] = node.output[0]
    fixed = {value.name for value in (*packed.graph.input, *packed.graph.output)}
    names |= {each: f"{names[source]}{_DEQUANTIZED}" for each, source in found.copies.items() if source in names}
    _rename(packed.graph, {name: layer for name, layer in names.items() if not fixed.intersection((name, layer))})


class _Operators:
    """The operators of a graph that depend on its input, to be taken one by one.

    Attributes:
        copies: dequantized values -> the values that they are the quantized copies of.
    """

    def __init__(self, graph: GraphProto) -> None:
        self.copies: dict[str, str] = {}
        self._weights: dict[str, str] = {}  # dequantized weights -> their name
        self._left: dict[tuple[str, tuple[str, ...]], list[NodeProto]] = {}
        live, quantized = {graph.input[0].name}, dict[str, str]()
        for node in graph.node:
            source = node.input[0] if node.input else ""
            if not live.intersection(node.input):
                self._weights[node.output[0]] = source
                continue
            live.update(node.output)
            if node.op_type == _CODES[0]:
                quantized[node.output[0]] = self.copies.get(source, source)
            elif node.op_type == _CODES[1]:
                self.copies[node.output[0]] = quantized.get(source, source)
            else:
                read = tuple(self.copies.get(name, name) for name in node.input if name in live)
                self._left.setdefault((node.op_type, read), []).append(node)

    def take(self, kind: str, read: list[str], weights: str) -> NodeProto | None:
        """The operator of this type that reads these values, and weights of this name if there is a choice."""
        left = self._left.get((kind, tuple(read)), [])
        named = [each for each in left if len(each.input) > 1 and self._weight_of(each).startswith(weights or " ")]
        chosen = next(iter(named or left), None)
        if chosen is not None:
            left.remove(chosen)
        return chosen

    def _weight_of(self, node: NodeProto) -> str:
        name = str(node.input[1])
        return self._weights.get(name, name)


def _rename(graph: GraphProto, new: Mapping[str, str]) -> None:
    for node in graph.node:
        for values in (node.input, node.output):
            values[:] = [new.get(value, value) for value in values]
