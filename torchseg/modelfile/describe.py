"""Inputs, outputs and metadata of an exported file, read without running it."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from torchseg.modelfile.layout import Layout, layout_of
from torchseg.modelfile.metadata import METADATA_PREFIX

if TYPE_CHECKING:
    from onnx import ValueInfoProto


_Table = Any  # a generated reader of one flatbuffer table, untyped

CLASSES = "torchseg.classes"  # key of the metadata entry with the class names


def describe_file(path: Path) -> dict[str, Any]:
    """Reads inputs, outputs and metadata of an `.onnx` or `.tflite` file.

    Returns:
        A dictionary with `format`, `layout` (of the images), `inputs`, `outputs` and `metadata`. Inputs and outputs are
        lists of dictionaries with `name`, `shape` (None or a name for a dynamic dimension) and `type`, plus `scale` and
        `zero_point` if quantized.

    Raises:
        ValueError: if the file is missing, damaged, of another kind, or keeps weights in other files.
        ImportError: for a `.tflite` file if LiteRT is not installed.
    """
    reader = _READERS.get(path.suffix)
    if reader is None:
        raise ValueError(f"{path} is no {' or '.join(_READERS)} file; give a file that the export made")
    if not path.is_file():
        raise ValueError(f"there is no file {path}; export the network first")
    return reader(path)


def _read_onnx(path: Path) -> dict[str, Any]:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load(path, load_external_data=False)
        for tensor in model.graph.initializer:
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                raise ValueError(f"{path} keeps weights in another file; export it again as one file")
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise _damaged(path, "ONNX") from error
    known = {tensor.name for tensor in model.graph.initializer}
    texts = {entry.key: entry.value for entry in model.metadata_props}
    return {
        "format": "onnx",
        "layout": texts.get(f"{METADATA_PREFIX}layout", "NCHW"),
        "inputs": [_onnx_value(value) for value in model.graph.input if value.name not in known],
        "outputs": [_onnx_value(value) for value in model.graph.output],
        "metadata": texts,
    }


def _onnx_value(value: ValueInfoProto) -> dict[str, Any]:
    import onnx

    tensor = value.type.tensor_type
    sides = [side.dim_value if side.HasField("dim_value") else side.dim_param or None for side in tensor.shape.dim]
    return {
        "name": value.name,
        "shape": sides,
        "type": str(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)),
    }


def _read_tflite(path: Path) -> dict[str, Any]:
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ModuleNotFoundError as error:
        raise ImportError("reading .tflite files needs LiteRT: install torchseg-compress[tf]") from error
    content = path.read_bytes()
    # The tables are read in Python, because a runtime might crash the process on a damaged file.
    if content[4:8] != b"TFL3":
        raise _damaged(path, "TFLite")
    try:
        model = schema.Model.GetRootAsModel(content, 0)
        texts = _tflite_metadata(model)
        graph = model.Subgraphs(0)
        return {
            "format": "tflite",
            "layout": "NHWC",
            "inputs": [_tflite_tensor(schema, graph.Tensors(graph.Inputs(i))) for i in range(graph.InputsLength())],
            "outputs": [_tflite_tensor(schema, graph.Tensors(graph.Outputs(i))) for i in range(graph.OutputsLength())],
            "metadata": texts,
        }
    except (struct.error, ValueError, IndexError, AttributeError, TypeError, KeyError) as error:
        raise _damaged(path, "TFLite") from error


def _tflite_metadata(model: _Table) -> dict[str, str]:
    """This project's metadata. Also reads every buffer, which raises if one extends past the end of the file."""
    buffers = [model.Buffers(index).DataAsNumpy() for index in range(model.BuffersLength())]
    entries = (model.Metadata(index) for index in range(model.MetadataLength()))
    return {
        entry.Name().decode(): bytes(buffers[entry.Buffer()]).decode()
        for entry in entries
        if entry.Name().decode().startswith(METADATA_PREFIX)
    }


def _tflite_tensor(schema: ModuleType, tensor: _Table) -> dict[str, Any]:
    types = {value: name.lower() for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
    described = {
        "name": tensor.Name().decode(),
        "shape": tensor.ShapeAsNumpy().tolist(),
        "type": types[tensor.Type()],
    }
    quantization = tensor.Quantization()
    if quantization is not None and quantization.ScaleLength():
        described |= {"scale": float(quantization.Scale(0)), "zero_point": int(quantization.ZeroPoint(0))}
    return described


def _damaged(path: Path, kind: str) -> ValueError:
    return ValueError(f"{path} is no complete {kind} file ({path.stat().st_size} bytes); export it again")


_READERS: Mapping[str, Callable[[Path], dict[str, Any]]] = {".onnx": _read_onnx, ".tflite": _read_tflite}


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """The first input and the metadata of a file.

    Attributes:
        height: height of the input images; None if any.
        width: width of the input images; None if any.
        channels: channels of the input images; None if any.
        pixels: whether it takes uint8 values from 0 to 255 and normalises them itself.
        texts: metadata entries.
    """

    height: int | None
    width: int | None
    channels: int | None
    pixels: bool
    texts: Mapping[str, str]


def file_facts(path: Path) -> FileFacts | None:
    """Reads the first input and the metadata of a file.

    Returns:
        None if the file cannot be read: it is damaged, of another kind, or its library is not installed. Opening it in
        its runtime shows which.
    """
    readers = {".onnx": _onnx_facts, ".tflite": _tflite_facts}
    if path.suffix not in readers or not path.is_file():
        return None
    try:
        shape, pixels, texts, usual = readers[path.suffix](path)
        layout = layout_of(shape, usual=usual)
    except Exception:  # each library has its own exceptions for a damaged file, some without a common base
        return None
    sides = shape[1:] if layout == "NCHW" else (shape[3], shape[1], shape[2])
    channels, height, width = (side if side and side > 0 else None for side in sides)
    return FileFacts(height=height, width=width, channels=channels, pixels=pixels, texts=texts)


_Read = tuple[tuple[int | None, ...], bool, dict[str, str], Layout]


def _onnx_facts(path: Path) -> _Read:
    import onnx

    model = onnx.load(path, load_external_data=False)
    stored = {tensor.name for tensor in model.graph.initializer}
    picture = next(value for value in model.graph.input if value.name not in stored)
    shape = tuple(side.dim_value or None for side in picture.type.tensor_type.shape.dim)
    pixels = picture.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    return shape, pixels, {entry.key: entry.value for entry in model.metadata_props}, "NCHW"


def _tflite_facts(path: Path) -> _Read:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAsModel(path.read_bytes(), 0)
    graph = model.Subgraphs(0)
    picture = graph.Tensors(graph.Inputs(0))
    shape = tuple(int(side) for side in picture.ShapeAsNumpy())
    scaled = picture.Quantization() is not None and picture.Quantization().ScaleLength() > 0
    pixels = picture.Type() == schema.TensorType.UINT8 and not scaled
    entries = [model.Metadata(at) for at in range(model.MetadataLength())]
    texts = {each.Name().decode(): _text(model.Buffers(each.Buffer()).DataAsNumpy()) for each in entries}
    return shape, pixels, texts, "NHWC"


def _text(content: object) -> str:
    """Decodes a metadata entry as text; binary entries of other tools give meaningless text, which nothing reads."""
    return bytes(content).decode(errors="replace")  # type: ignore[call-overload, no-any-return]


def class_count(path: Path) -> int | None:
    """Number of classes named in the file's metadata; None if it names none."""
    facts = file_facts(path)
    return count_names(facts.texts.get(CLASSES)) if facts else None


def count_names(text: str | None) -> int | None:
    """Number of classes in the metadata entry `CLASSES` (a JSON list); None if the entry is missing or empty."""
    return len(json.loads(text)) if text else None
