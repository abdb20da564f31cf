"""Edits the graph of a TFLite file: adds operations, removes redundant quantize pairs, converts weights to float16."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.float_weights import lightest
from tf_bridge.layer_names import layer_of_tensor
from torchseg.modelfile.tflite import TfliteModel


class TfliteEdit:
    """An editable TFLite file; operations can be added before its input and after its output.

    Args:
        content: bytes of a file with one graph, one input and one output.
    """

    def __init__(self, content: bytes) -> None:
        self._file = TfliteModel(content)
        self._schema, self._graph = self._file.schema, self._file.graph
        self._front: list[Any] = []
        self._back: list[Any] = []
        self._added: dict[str, int] = {}  # operation type -> index in the file's table of operator codes

    @property
    def input(self) -> int:
        """Index of the input tensor."""
        return int(self._graph.inputs[0])

    @property
    def output(self) -> int:
        """Index of the output tensor."""
        return int(self._graph.outputs[0])

    @property
    def operations(self) -> list[Any]:
        """The graph's own operations, in the order of computation."""
        return list(self._graph.operators)

    def kind(self, operation: Any) -> str:
        """Type of one of the graph's own operations, e.g. `CONV_2D`."""
        return self._file.kind(operation)

    def tensor(self, place: int) -> Any:
        """The tensor at an index: name, shape, type, quantization."""
        return self._graph.tensors[place]

    def is_int8(self, place: int) -> bool:
        """Whether a tensor holds int8 codes."""
        return bool(self.tensor(place).type == self._schema.TensorType.INT8)

    def constants(self) -> dict[int, NDArray[np.float32]]:
        """Values of the float32 constants that operations read, by tensor index."""
        taken = dict.fromkeys(int(place) for each in self._graph.operators for place in each.inputs if place >= 0)
        found = {}
        for place in taken:
            tensor = self.tensor(place)
            data = self._file.data(tensor)
            if tensor.type == self._schema.TensorType.FLOAT32 and data is not None:
                found[place] = np.frombuffer(bytes(data), np.float32).reshape(tensor.shape)
        return found

    def forget(self, place: int) -> None:
        """Removes the values of a constant, so that an operation can compute them instead."""
        tensor = self.tensor(place)
        buffer, tensor.buffer = tensor.buffer, 0  # buffer 0 is the empty one
        tables = self._file.tables
        if all(each.buffer != buffer for graph in tables.subgraphs for each in graph.tensors):
            tables.buffers[buffer].data = None

    def add_tensor(
        self,
        name: str,
        shape: Sequence[int],
        kind: str,
        *,
        codes: tuple[Sequence[float], Sequence[int]] | None = None,
        values: NDArray[Any] | None = None,
    ) -> int:
        """Adds a tensor and returns its index.

        Args:
            name: of the tensor.
            shape: static shape.
            kind: dtype, a name in the schema's TensorType, e.g. `UINT8`.
            codes: scales and zero points of a quantized tensor; if there are several, one per index of the last axis.
            values: of a constant, in the shape and dtype of the tensor.
        """
        schema = self._schema
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.hasRank = name.encode(), np.asarray(shape, np.int32), True
        tensor.type = getattr(schema.TensorType, kind)
        tensor.quantization = schema.QuantizationParametersT()
        if codes is not None:
            tensor.quantization.scale = np.asarray(codes[0], np.float32)
            tensor.quantization.zeroPoint = np.asarray(codes[1], np.int64)
            # XNNPACK does not take over a tensor with one scale and a quantized dimension other than 0.
            tensor.quantization.quantizedDimension = len(shape) - 1 if len(codes[0]) > 1 else 0
        held = None if values is None else np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        tensor.buffer = self._file.add_buffer(held)
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def put_in_front(self, kind: str, inputs: Sequence[int], output: int, **options: Any) -> None:
        """Adds an operation that runs before the graph's own and after those added here earlier."""
        self._front.append(self._operation(kind, inputs, output, options))

    def put_behind(self, kind: str, inputs: Sequence[int], output: int, **options: Any) -> None:
        """Adds an operation that runs after all others so far."""
        self._back.append(self._operation(kind, inputs, output, options))

    def replace(self, olds: Sequence[Any], kind: str, inputs: Sequence[int], **options: Any) -> None:
        """Puts one operation in the place of the last of `olds`, with its output and activation; drops the others."""
        *others, last = olds
        activation = last.builtinOptions.fusedActivationFunction
        new = self._operation(kind, inputs, int(last.outputs[0]), options | {"fusedActivationFunction": activation})
        for each in others:
            self.tensor(int(each.outputs[0])).quantization = None  # nothing computes it, so that it has no range
        kept = [each for each in self._graph.operators if not any(each is other for other in others)]
        self._graph.operators = [new if each is last else each for each in kept]

    def take(self, place: int, name: str) -> None:
        """Makes a tensor the input of the file, called `name`."""
        self._move(self._graph.inputs, "inputs", place, name)

    def give(self, place: int, name: str) -> None:
        """Makes a tensor the output of the file, called `name`."""
        self._move(self._graph.outputs, "outputs", place, name)

    def content(self, metadata: Mapping[str, str]) -> bytes:
        """Bytes of the edited file, with these metadata entries changed or added."""
        self._graph.operators = [*self._front, *self._graph.operators, *self._back]
        self._file.set_metadata(metadata)
        return self._file.content()

    def _move(self, ends: Any, side: str, place: int, name: str) -> None:
        old = int(ends[0])
        ends[0] = place
        self.tensor(place).name = name.encode()
        for signature in self._file.tables.signatureDefs or []:
            for entry in getattr(signature, side):
                if entry.tensorIndex == old:
                    entry.tensorIndex, entry.name = place, name.encode()

    def _operation(self, kind: str, inputs: Sequence[int], output: int, options: Mapping[str, Any]) -> Any:
        operation = self._schema.OperatorT()
        operation.opcodeIndex = self._opcode(kind)
        operation.inputs, operation.outputs = np.asarray(inputs, np.int32), np.asarray([output], np.int32)
        table = _OPTIONS.get(kind)
        if table is not None:
            operation.builtinOptionsType = getattr(self._schema.BuiltinOptions, table)
            operation.builtinOptions = getattr(self._schema, f"{table}T")()
            for name, value in options.items():
                setattr(operation.builtinOptions, name, value)
        return operation

    def _opcode(self, kind: str) -> int:
        """Index of an operation type in the file's table of operator codes, to which it is added if needed."""
        if kind in self._added:
            return self._added[kind]
        code = getattr(self._schema.BuiltinOperator, kind)
        entry = self._schema.OperatorCodeT()
        entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, min(code, 127), _VERSIONS.get(kind, 1)
        codes = self._file.tables.operatorCodes
        codes.append(entry)
        self._added[kind] = len(codes) - 1
        return self._added[kind]


_OPTIONS = {
    "ADD": "AddOptions",
    "ARG_MAX": "ArgMaxOptions",
    "CAST": "CastOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "DEQUANTIZE": "DequantizeOptions",
    "MUL": "MulOptions",
    "QUANTIZE": "QuantizeOptions",
}
_VERSIONS = {"ARG_MAX": 2, "DEPTHWISE_CONV_2D": 3, "DEQUANTIZE": 3}  # the versions that support int8 and float16


def drop_idle_roundings(content: bytes) -> bytes:
    """Removes redundant quantize pairs: each QUANTIZE whose result is only dequantized again.

    The converter leaves such pairs around slices and concatenations of float layers, where they cost accuracy and time.
    """
    file = TfliteModel(content)
    graph, kind = file.graph, file.kind
    made_by = {int(tensor): each for each in graph.operators for tensor in each.outputs}
    originals: dict[int, int] = {}  # result of a DEQUANTIZE -> the float tensor that was quantized
    for operation in graph.operators:
        if kind(operation) != "DEQUANTIZE" or operation.outputs[0] in graph.outputs:
            continue
        source = int(operation.inputs[0])
        while source in made_by and kind(made_by[source]) == "QUANTIZE":
            source = int(made_by[source].inputs[0])
        if graph.tensors[source].type == file.schema.TensorType.FLOAT32:
            originals[int(operation.outputs[0])] = source
    for operation in graph.operators:
        operation.inputs = [originals.get(int(tensor), int(tensor)) for tensor in operation.inputs]
    graph.operators = _needed(graph, [each for each in graph.operators if kind(each) in ("QUANTIZE", "DEQUANTIZE")])
    return file.content()


def _needed(graph: Any, roundings: list[Any]) -> list[Any]:
    """The graph's operations without those of `roundings` whose result is never read."""
    kept, idle = list(graph.operators), roundings
    while idle:
        taken = {int(tensor) for each in kept for tensor in each.inputs} | {int(tensor) for tensor in graph.outputs}
        idle = [each for each in roundings if each in kept and int(each.outputs[0]) not in taken]
        kept = [each for each in kept if each not in idle]
    return kept


# TensorFlow's converter stores either all weights as float16 or none.


def halve_tflite(content: bytes, *, float_share: float) -> tuple[bytes, list[str]]:
    """Stores weights as float16, each followed by a DEQUANTIZE, as TensorFlow's converter does.

    Weights that exceed the range of float16 stay in float32 in any case.

    Args:
        content: bytes of a float32 file.
        float_share: share of all constant values, 0 to 1, that may stay in float32; the smallest tensors are chosen.

    Returns:
        Bytes of the file, and the layers whose weights stayed in float32, in the order of the graph.
    """
    edit = TfliteEdit(content)
    constants = edit.constants()
    kept = lightest({place: values.size for place, values in constants.items()}, float_share)
    layers = []
    for place, values in constants.items():
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if place in kept or not np.isfinite(half).all():
            if values.ndim > 1:
                layers.append(layer_of_tensor(edit.tensor(place).name.decode()))
            continue
        name = edit.tensor(place).name.decode()
        edit.put_in_front("DEQUANTIZE", [edit.add_tensor(f"{name}/half", half.shape, "FLOAT16", values=half)], place)
        edit.forget(place)
    return edit.content({}), list(dict.fromkeys(layers))
