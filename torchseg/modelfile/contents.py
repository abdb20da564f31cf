"""Inputs, outputs and metadata of an exported file, read without running it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchseg.modelfile.metadata import METADATA_PREFIX
from torchseg.modelfile.tflite import DAMAGED, Table, TfliteModel, open_tflite
from torchseg.spec import ImageSpec

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto


@dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """An input or output of a model file.

    Attributes:
        name: in the file.
        shape: as declared; None or a name for a dynamic dimension.
        dtype: NumPy name of the type, e.g. `float32`.
        scale: step of one code of a quantized tensor; None otherwise.
        zero_point: code of the value 0 of a quantized tensor; None otherwise.
    """

    name: str
    shape: tuple[int | str | None, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, as in a certificate: `name`, `shape`, `type`, and the quantization if there is one."""
        values = {"name": self.name, "shape": list(self.shape), "type": self.dtype}
        return values if self.scale is None else values | {"scale": self.scale, "zero_point": self.zero_point}


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a model file declares.

    Attributes:
        inputs: of the network, without constants.
        outputs: of the network.
        metadata: text by entry name; of a TFLite file only the entries of this project, as others may not be text.
        data_files: files with further weights, as the file names them, relative to its folder.
    """

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    metadata: Mapping[str, str]
    data_files: tuple[str, ...] = ()


def read_onnx(path: Path, *, complete: bool) -> Contents:
    """Reads an ONNX file, without its weights in other files.

    Args:
        path: of the file.
        complete: whether to let ONNX check the whole graph, and refuse a file that keeps weights in other files.

    Raises:
        ValueError: if the file is damaged, or refused.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load(path, load_external_data=False)
        data_files = _data_files(model)
        if complete and data_files:
            raise ValueError(f"{path} keeps weights in another file; export it again as one file")
        if complete:
            onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise _damaged(path, "ONNX") from error
    constants = {tensor.name for tensor in model.graph.initializer}
    return Contents(
        inputs=tuple(_onnx_tensor(value) for value in model.graph.input if value.name not in constants),
        outputs=tuple(_onnx_tensor(value) for value in model.graph.output),
        metadata={entry.key: entry.value for entry in model.metadata_props},
        data_files=data_files,
    )


def _data_files(model: ModelProto) -> tuple[str, ...]:
    from onnx.external_data_helper import ExternalDataInfo, uses_external_data

    held = [tensor for tensor in model.graph.initializer if uses_external_data(tensor)]
    return tuple(sorted({ExternalDataInfo(tensor).location for tensor in held}))


def _onnx_tensor(value: ValueInfoProto) -> TensorInfo:
    import onnx

    tensor = value.type.tensor_type
    sides = [side.dim_value if side.HasField("dim_value") else side.dim_param or None for side in tensor.shape.dim]
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type) if tensor.elem_type else "unknown"
    return TensorInfo(name=value.name, shape=tuple(sides), dtype=str(dtype))


def read_tflite(path: Path) -> Contents:
    """Reads a TFLite file, including every table and buffer.

    Raises:
        ValueError: if the file is damaged.
        ImportError: if LiteRT is not installed.
    """
    file = open_tflite(path)
    tensors = file.graph.tensors
    try:
        return Contents(
            inputs=tuple(_tflite_tensor(file, tensors[at]) for at in file.graph.inputs),
            outputs=tuple(_tflite_tensor(file, tensors[at]) for at in file.graph.outputs),
            metadata=file.metadata(METADATA_PREFIX),
        )
    except DAMAGED as error:
        raise _damaged(path, "TFLite") from error


def _tflite_tensor(file: TfliteModel, tensor: Table) -> TensorInfo:
    quantization = tensor.quantization
    is_quantized = quantization is not None and quantization.scale is not None and len(quantization.scale) > 0
    return TensorInfo(
        name=tensor.name.decode(),
        shape=declared_sides(tensor.shape, tensor.shapeSignature),
        dtype=file.type_of(tensor),
        scale=float(quantization.scale[0]) if is_quantized else None,
        zero_point=int(quantization.zeroPoint[0]) if is_quantized else None,
    )


def declared_sides(shape: Sequence[int], signature: Sequence[int] | None) -> tuple[int | None, ...]:
    """Sides of a TFLite tensor; None for an open one, whose shape holds 1. An open batch stays at 1, which is faster.

    Args:
        shape: for which a runtime allocates memory at first.
        signature: with -1 for the open sides; files without any may have none.
    """
    opened = signature if signature is not None and len(signature) == len(shape) else shape
    return tuple(None if at and opened[at] < 0 else int(side) for at, side in enumerate(shape))


def _damaged(path: Path, kind: str) -> ValueError:
    return ValueError(f"{path} is not a complete {kind} file ({path.stat().st_size} bytes); export it again")


def checkpoint_contents(spec: ImageSpec) -> Contents:
    """What the network of a checkpoint takes and gives; any number of images at a time."""
    sides = spec.height, spec.width
    return Contents(
        inputs=(TensorInfo(name="image", shape=(None, spec.channels, *sides), dtype="float32"),),
        outputs=(TensorInfo(name="logits", shape=(None, spec.num_classes, *sides), dtype="float32"),),
        metadata={},
    )
