"""What an .onnx or .tflite file says about its pictures, from whatever tool it comes; the file is not run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torchseg.modelfile.layout import Layout, layout_of


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """The first input and the texts inside a file.

    Attributes:
        height: of the pictures that it takes; None if it takes any.
        width: likewise.
        channels: likewise.
        pixels: whether it takes whole numbers from 0 to 255, which it scales by itself.
        texts: metadata entries.
    """

    height: int | None
    width: int | None
    channels: int | None
    pixels: bool
    texts: Mapping[str, str]


def file_facts(path: Path) -> FileFacts | None:
    """Reads a file's own words.

    Returns:
        None if it cannot be read: it is damaged, of another kind or of a runtime that is not installed. Opening it in
        its runtime says which.
    """
    readers = {".onnx": _read_onnx, ".tflite": _read_tflite}
    if path.suffix not in readers or not path.is_file():
        return None
    try:
        shape, pixels, texts, usual = readers[path.suffix](path)
        layout = layout_of(shape, usual=usual)
    except Exception:  # every library has its own classes for a damaged file, and some share no base
        return None
    sides = shape[1:] if layout == "NCHW" else (shape[3], shape[1], shape[2])
    channels, height, width = (side if side and side > 0 else None for side in sides)
    return FileFacts(height=height, width=width, channels=channels, pixels=pixels, texts=texts)


_Read = tuple[tuple[int | None, ...], bool, dict[str, str], Layout]


def _read_onnx(path: Path) -> _Read:
    import onnx

    model = onnx.load(path, load_external_data=False)
    stored = {tensor.name for tensor in model.graph.initializer}
    picture = next(value for value in model.graph.input if value.name not in stored)
    shape = tuple(side.dim_value or None for side in picture.type.tensor_type.shape.dim)
    pixels = picture.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    return shape, pixels, {entry.key: entry.value for entry in model.metadata_props}, "NCHW"


def _read_tflite(path: Path) -> _Read:
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
    """Other tools keep binary entries beside ours: they come out as text that no one asks for."""
    return bytes(content).decode(errors="replace")  # type: ignore[call-overload, no-any-return]
