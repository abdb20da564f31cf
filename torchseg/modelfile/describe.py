"""What an exported file takes and gives, read from the file itself without running it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from torchseg.modelfile.metadata import METADATA_PREFIX

if TYPE_CHECKING:
    from onnx import ValueInfoProto

_Table = Any  # a generated reader of one flatbuffer table; it has no types


def describe_file(path: Path) -> dict[str, Any]:
    """Reads inputs, outputs and metadata of an `.onnx` or `.tflite` file.

    Returns:
        `format`, `layout` (of the pictures), `inputs` and `outputs` (a list each of `name`, `shape` with None or a name
        for an open side, `type`; for integers also `scale` and `zero_point`) and `metadata`.

    Raises:
        ValueError: if the file is missing, of another kind, damaged, or keeps weights in other files.
        ImportError: without LiteRT, for `.tflite`.
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
    # Plain Python reads the tables: a runtime that opens a damaged file may take the process down.
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
    """Touches every buffer on the way: one that reaches beyond the end of the file raises."""
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
