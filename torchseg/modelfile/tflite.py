"""The tables of a TFLite file: whatever reads or changes them goes through `TfliteModel`."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Table = Any  # an object of the generated schema, untyped
IDENTIFIER = b"TFL3"  # bytes 4 to 8 of every .tflite file
# What the generated code raises for a file that is cut off or is something else.
DAMAGED = (struct.error, ValueError, IndexError, AttributeError, TypeError, KeyError)


class TfliteModel:
    """A TFLite file as objects of its schema, which can be read, changed and written again.

    Every table and buffer is read in Python at once, which raises one of `DAMAGED` where a runtime might read past the
    end of the file. The values are not copied: they are views of the file's bytes.

    Args:
        content: bytes of a `.tflite` file.

    Raises:
        ImportError: if LiteRT, which brings the schema, is not installed.
    """

    def __init__(self, content: bytes) -> None:
        try:
            from ai_edge_litert import schema_py_generated as schema
        except ModuleNotFoundError as error:
            raise ImportError(
                "reading .tflite files needs ai-edge-litert: pip install 'torchseg-compress[tf]'"
            ) from error
        if content[4:8] != IDENTIFIER:
            raise ValueError(f"the header lacks {IDENTIFIER.decode()}")
        self.schema = schema  # its enumerations name the types and the operators
        # A bytearray, because views of bytes cannot be changed in place.
        self.tables: Table = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(content), 0))
        self.graph: Table = self.tables.subgraphs[0]  # the main one; the others belong to loops and branches
        for buffer in self.tables.buffers:
            if buffer.offset:  # of a file above 2 GB, whose values lie behind the tables
                buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
                buffer.offset = buffer.size = 0

    def kind(self, operation: Table) -> str:
        """Type of an operation, e.g. `CONV_2D`; `UNKNOWN` for one that is newer than the schema."""
        code: int = operation.opcodeIndex
        return self._kinds[code]

    @cached_property
    def _kinds(self) -> list[str]:
        """Operator type per entry of the file's table of operator codes."""
        names = _names(self.schema.BuiltinOperator)
        codes = [max(each.builtinCode, each.deprecatedBuiltinCode) for each in self.tables.operatorCodes]
        return [names.get(code, "UNKNOWN") for code in codes]

    def type_of(self, tensor: Table) -> str:
        """Type of a tensor's values, e.g. `float32`."""
        return _names(self.schema.TensorType)[tensor.type].lower()

    def data(self, tensor: Table) -> NDArray[np.uint8] | None:
        """Bytes of a constant; None for a tensor that is computed."""
        data: NDArray[np.uint8] | None = self.tables.buffers[tensor.buffer].data
        return None if data is None or not len(data) else data

    def add_buffer(self, data: NDArray[np.uint8] | None) -> int:
        """Adds a buffer and returns its index; None makes an empty one."""
        buffer = self.schema.BufferT()
        buffer.data = data
        self.tables.buffers.append(buffer)
        return len(self.tables.buffers) - 1

    def metadata(self, prefix: str) -> dict[str, str]:
        """The metadata entries whose names start with `prefix`; entries of other tools may not be text."""
        entries = [(each.name.decode(), each.buffer) for each in self.tables.metadata or []]
        held = {name: self.tables.buffers[buffer].data for name, buffer in entries if name.startswith(prefix)}
        return {name: "" if data is None else bytes(data).decode() for name, data in held.items()}

    def set_metadata(self, entries: Mapping[str, str]) -> None:
        """Changes these metadata entries, or adds them."""
        known = {each.name.decode(): each for each in self.tables.metadata or []}
        for name, text in entries.items():
            data = np.frombuffer(text.encode(), np.uint8)
            if name in known:
                self.tables.buffers[known[name].buffer].data = data
                continue
            entry = self.schema.MetadataT()
            entry.name, entry.buffer = name.encode(), self.add_buffer(data)
            self.tables.metadata = [*(self.tables.metadata or []), entry]

    def set_signature(self) -> None:
        """Gives the file one signature, `serving_default`: the ends of its graph under the names of their tensors."""
        signature = self.schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
        signature.inputs, signature.outputs = self._named(self.graph.inputs), self._named(self.graph.outputs)
        self.tables.signatureDefs = [signature]

    def _named(self, places: Iterable[int]) -> list[Table]:
        entries = []
        for place in places:
            entry = self.schema.TensorMapT()
            entry.name, entry.tensorIndex = self.graph.tensors[place].name, int(place)
            entries.append(entry)
        return entries

    def content(self) -> bytes:
        """Bytes of the file with all changes."""
        return pack(self.tables)


def open_tflite(path: Path) -> TfliteModel:
    """Reads every table of the file.

    Raises:
        ValueError: if the file is damaged or is not a TFLite file.
        ImportError: if LiteRT is not installed.
    """
    content = path.read_bytes()
    try:
        return TfliteModel(content)
    except DAMAGED as error:
        raise ValueError(f"{path} is not a complete TFLite file ({len(content)} bytes); export it again") from error


def _names(enumeration: type) -> dict[int, str]:
    """Name by value, of one of the schema's enumerations."""
    return {value: name for name, value in vars(enumeration).items() if not name.startswith("_")}


def pack(tables: Table) -> bytes:
    """Bytes of the `.tflite` file that holds these tables, a `ModelT`."""
    import flatbuffers  # type: ignore[import-untyped]

    builder = flatbuffers.Builder(1024)
    builder.Finish(tables.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())
