"""Removes what an ONNX file does not need to compute the same."""

from __future__ import annotations

import itertools
import string
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto


def slim_graph(graph: GraphProto, *, keep: Collection[str]) -> None:
    """Shortens names, merges equal constants, and drops notes and inferable shapes, all in place.

    Without this, a packed fp32 file would be a twentieth larger and an int8 file a fifth: the quantizer writes a scale
    and a zero point with a long name for every tensor, and each negative integer takes ten bytes.

    Args:
        graph: of a whole model; modified.
        keep: names of values to leave as they are; the names of inputs and outputs of the graph are always kept.
    """
    del graph.value_info[:], graph.quantization_annotation[:], graph.metadata_props[:]
    for node in graph.node:
        node.name = ""
    for item in (*graph.node, *graph.initializer, *graph.input, *graph.output):
        item.doc_string = ""
        del item.metadata_props[:]
    if any(attribute.HasField("g") or attribute.graphs for node in graph.node for attribute in node.attribute):
        return  # the body of a loop or branch refers to outer values by name
    fixed = {value.name for value in (*graph.input, *graph.output)} | set(keep)
    merged = _merge_constants(graph, fixed)
    names = _short_names(fixed)
    short = {name: name for name in ("", *fixed)}
    for tensor in graph.initializer:
        tensor.name = short.setdefault(tensor.name, tensor.name if tensor.name in fixed else next(names))
    for node in graph.node:
        for values in (node.input, node.output):
            for index, name in enumerate(values):
                name = merged.get(name, name)
                if name not in short:
                    short[name] = next(names)
                values[index] = short[name]


def _merge_constants(graph: GraphProto, fixed: Collection[str]) -> dict[str, str]:
    """Removes initializers that equal an earlier one and stores the rest as raw bytes; returns removed to kept name."""
    from onnx import TensorProto, numpy_helper

    plain = (TensorProto.FLOAT, TensorProto.INT8, TensorProto.UINT8, TensorProto.INT32, TensorProto.INT64)
    first: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    merged: dict[str, str] = {}
    tensors = list(graph.initializer)
    del graph.initializer[:]
    for tensor in tensors:
        if tensor.data_type in plain and not tensor.HasField("raw_data"):
            tensor = numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name)
        key = (tensor.data_type, tuple(tensor.dims), tensor.raw_data)
        # A caller may replace an input that has a default value, so names in `fixed` are never merged.
        if tensor.data_type not in plain or tensor.name in fixed:
            graph.initializer.append(tensor)
        elif key in first:
            merged[tensor.name] = first[key]
        else:
            first[key] = tensor.name
            graph.initializer.append(tensor)
    return merged


def _short_names(taken: Collection[str]) -> Iterator[str]:
    for length in itertools.count(1):
        for letters in itertools.product(string.ascii_letters, repeat=length):
            if (name := "".join(letters)) not in taken:
                yield name
