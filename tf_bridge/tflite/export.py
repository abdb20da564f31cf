"""Exports a PyTorch network to TFLite with TensorFlow's converter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.calibration import check_calibration
from tf_bridge.lowering.lazy_tensorflow import import_tensorflow
from tf_bridge.lowering.lower import lower_program
from tf_bridge.tflite.convert import TracedFunction, convert_tflite, trace_lowered
from tf_bridge.tracing import export_program
from torchseg.atomic_file import partial_file
from torchseg.modelfile.metadata import metadata
from torchseg.modelfile.precision import Precision
from torchseg.modelfile.tflite import TfliteModel
from torchseg.spec import ImageSpec

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram


def export_tflite(
    model: nn.Module,
    spec: ImageSpec,
    path: Path,
    *,
    precision: Precision = Precision.FP32,
    calibration: NDArray[np.float32] | None = None,
) -> None:
    """Writes a `.tflite` file with static shapes that maps `image` `(1, H, W, C)` to `logits` `(1, H, W, K)`.

    Both are float32, except in an int8 file, where both are int8 with scale and zero point stored in the file.

    Args:
        model: maps an image `(1, C, H, W)` to logits `(1, K, H, W)`; not modified.
        spec: size, normalisation and classes of the network's images.
        path: of the file; appears only once it is complete.
        precision: number format of the file.
        calibration: for int8, float32 `(B, C, H, W)`, prepared as for evaluation.

    Raises:
        ImportError: if TensorFlow is not installed.
        UnsupportedOperatorError: a ValueError, if the network uses an operator that is not supported.
        ValueError: if the network does not fit the spec, or if int8 lacks suitable calibration images.
    """
    images = check_calibration(calibration, spec, precision=precision)
    import_tensorflow()  # fails before the network is traced if TensorFlow is missing
    traced = tflite_function(export_program(model, spec), spec)
    write_tflite(convert_tflite(traced, precision=precision, images=images), spec, path, precision=precision)


def tflite_function(program: ExportedProgram, spec: ImageSpec) -> TracedFunction:
    """Translates a traced PyTorch network to a TensorFlow function of one image `(1, H, W, C)`.

    Raises:
        ImportError: if TensorFlow is not installed.
        UnsupportedOperatorError: a ValueError, if the network uses an operator that is not supported.
    """
    tf = import_tensorflow()
    return trace_lowered(tf, lower_program(program, tf), (1, spec.height, spec.width, spec.channels))


def write_tflite(content: bytes, spec: ImageSpec, path: Path, *, precision: Precision) -> None:
    """Writes a converted network with the project's names and metadata; the file appears only once it is complete."""
    labelled = label_tflite(content, metadata(spec, layout="NHWC", precision=precision))
    with partial_file(path) as partial:
        partial.write_bytes(labelled)


def label_tflite(content: bytes, entries: Mapping[str, str]) -> bytes:
    """Names the input `image` and the output `logits`, in a signature as well, and adds the metadata entries.

    Args:
        content: bytes of a `.tflite` file with one input and one output, from `convert_tflite`.
        entries: metadata, name to text.

    Returns:
        Bytes of the file with the same graph and weights.
    """
    file = TfliteModel(content)
    graph = file.graph
    for index, name in ((graph.inputs[0], b"image"), (graph.outputs[0], b"logits")):
        graph.tensors[index].name = name
    _name_layers(graph)
    file.set_signature()
    file.set_metadata(entries)
    return file.content()


def _name_layers(graph: Any) -> None:
    """Names the result of each PyTorch operator `LAYER/OPERATOR`; the converter's names also contain the operations.

    The name of a fused operation lists all its parts, of which the first is used. If an operator consists of several
    operations, the last one computes its result; where that is fused into the next operator, none has its name.
    """
    last: dict[bytes, Any] = {}
    for operation in graph.operators:
        tensor = graph.tensors[operation.outputs[0]]
        first, *others = (_operator(part) for part in tensor.name.split(b";"))
        for name in {*others} - {first}:
            last.pop(name, None)
        if first:
            last[first] = tensor
    for name, tensor in last.items():
        tensor.name = name


def _operator(part: bytes) -> bytes:
    """`LAYER/OPERATOR` of `LAYER/OPERATOR/OPERATION`; empty for other names."""
    layer, _, rest = part.partition(b"/")
    return layer + b"/" + rest.split(b"/")[0] if rest.count(b"/") else b""
