"""Exports a PyTorch network to ONNX."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.calibration import check_calibration
from tf_bridge.frozen_copy import frozen_copy
from tf_bridge.layer_names import layer_names, layer_of
from tf_bridge.onnx.failures import one_message
from tf_bridge.onnx.quantize import convert_onnx
from tf_bridge.onnx.value_names import rename_values
from tf_bridge.quiet import quiet
from tf_bridge.random_numbers import check_no_random_numbers
from tf_bridge.tracing import check_logits, export_program, first_line, trace
from torchseg.atomic_file import partial_file
from torchseg.modelfile.metadata import METADATA_PREFIX, metadata
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn
    from torch.export import ExportedProgram
    from torch.fx import Graph


class OnnxShape(enum.StrEnum):
    """Which dimensions of the input are dynamic."""

    STATIC = "static"  # batch 1 and the size of the spec; the fastest
    DYNAMIC_BATCH = "dynamic_batch"  # any number of images of the spec's size
    DYNAMIC = "dynamic"  # any number of images, with heights and widths that are multiples of the network's stride


def export_onnx(
    model: nn.Module,
    spec: ImageSpec,
    path: Path,
    *,
    precision: Precision = Precision.FP32,
    calibration: NDArray[np.float32] | None = None,
    shape: OnnxShape = OnnxShape.STATIC,
) -> None:
    """Writes an `.onnx` file that maps `image` `(B, C, H, W)` to `logits` `(B, K, H, W)`.

    Input and output are float32 at every precision.

    Args:
        model: maps images `(B, C, H, W)` to logits `(B, K, H, W)`; not modified.
        spec: size, normalisation and classes of the network's images.
        path: of the file; appears only once it is complete and checked.
        precision: number format of the file.
        calibration: for int8, float32 `(B, C, H, W)`, prepared as for evaluation.
        shape: which dimensions are dynamic. Dynamic heights and widths are multiples of `model.stride`, or of 32 if
            the model has no such attribute.

    Raises:
        ImportError: if onnxscript is not installed, or ONNX Runtime for a precision that needs it.
        ValueError: if the network does not fit the spec or cannot be traced, or if int8 lacks suitable images.
    """
    images = check_calibration(calibration, spec, precision=precision)
    graph = onnx_graph(export_program(model, spec)) if shape is OnnxShape.STATIC else _dynamic_graph(model, spec, shape)
    # Height and width must be multiples of this; convert_onnx keeps the entry.
    if shape is OnnxShape.DYNAMIC:
        graph.metadata_props.add(key=f"{METADATA_PREFIX}multiple", value=str(_stride(model)))
    write_onnx(graph, spec, path, precision=precision, images=images)


def onnx_graph(program: ExportedProgram) -> ModelProto:
    """Translates a traced network to a float32 `onnx.ModelProto` with batch 1 and static size.

    Raises:
        ImportError: if onnxscript is not installed.
        ValueError: if the network uses an operator that ONNX does not have.
    """
    return _translate(program)


def write_onnx(
    graph: ModelProto, spec: ImageSpec, path: Path, *, precision: Precision, images: NDArray[np.float32] | None
) -> None:
    """Converts a float32 model, which is not modified, and writes it; `images` come from `check_calibration`."""
    save_onnx(convert_onnx(graph, precision, images), spec, path, precision=precision)


def save_onnx(graph: ModelProto, spec: ImageSpec, path: Path, *, precision: Precision) -> None:
    """Writes a copy of a converted model with the project's metadata; the file appears only once it is complete."""
    import onnx

    labelled = onnx.ModelProto()
    labelled.CopyFrom(graph)
    _strip_traces(labelled)
    for key, value in metadata(spec, layout="NCHW", precision=precision).items():
        labelled.metadata_props.add(key=key, value=value)
    check_onnx(labelled, precision)
    with partial_file(path) as partial:
        partial.write_bytes(labelled.SerializeToString())


def check_onnx(graph: ModelProto, precision: Precision) -> None:
    """Checks that a model is valid and that its shapes fit together.

    Raises:
        ValueError: if it is not; names the layer.
    """
    import onnx

    advice = "replace that layer" if precision is Precision.FP32 else "export fp32, or replace that layer"
    with one_message(f"the check of the {precision} ONNX graph", graph, advice=advice):
        onnx.checker.check_model(graph, full_check=True)


def _dynamic_graph(model: nn.Module, spec: ImageSpec, shape: OnnxShape) -> ModelProto:
    """A model with dynamic dimensions, for which PyTorch has to trace the network separately."""
    import torch

    network, dynamic = frozen_copy(model), _dynamic_dimensions(model, shape)
    image = torch.zeros(2, spec.channels, spec.height, spec.width)  # PyTorch would treat a batch of 1 as a constant
    check_logits(network, image, spec)
    if shape is OnnxShape.DYNAMIC:  # and likewise a side of once the stride
        image = torch.zeros(2, spec.channels, *(max(side, 2 * _stride(model)) for side in image.shape[2:]))
    try:
        program = trace(network, image, dynamic=dynamic)
    except ValueError as error:
        raise ValueError(
            f"the network cannot be exported to ONNX with shape '{shape}' ({first_line(error.__cause__ or error)}); "
            f"export with shape '{OnnxShape.STATIC}', or make the network's forward free of sizes fixed by int()"
        ) from error
    return _translate(program, dynamic)


def _translate(traced: ExportedProgram, dynamic: Mapping[int, Any] | None = None) -> ModelProto:
    import torch

    try:
        import onnxscript  # noqa: F401 - torch.onnx.export fails without it, but only halfway through
    except ModuleNotFoundError as error:
        raise ImportError("exporting .onnx files needs onnxscript: install torchseg-compress") from error
    check_no_random_numbers(traced.graph)
    try:
        with quiet(), torch.no_grad():
            program = torch.onnx.export(
                traced,
                input_names=["image"],
                output_names=["logits"],
                dynamo=True,
                external_data=False,
                verbose=False,
                dynamic_shapes=(dynamic,) if dynamic else None,
            )
    except torch.onnx.OnnxExporterError as error:
        raise ValueError(_complaint(error, traced.graph)) from error
    assert program is not None
    assert program.exported_program is not None
    decomposed = program.exported_program
    weights = {*decomposed.state_dict, *decomposed.constants}
    return rename_values(program.model_proto, layer_names(decomposed.graph), weights=weights)


def _dynamic_dimensions(model: nn.Module, shape: OnnxShape) -> dict[int, Any]:
    from torch.export import Dim

    if shape is OnnxShape.DYNAMIC_BATCH:
        return {0: Dim("batch")}
    stride = _stride(model)
    return {0: Dim("batch"), 2: stride * Dim("rows"), 3: stride * Dim("columns")}


def _stride(model: nn.Module) -> int:
    stride = getattr(model, "stride", 32)
    return stride if isinstance(stride, int) else 32


def _strip_traces(model: ModelProto) -> None:
    """Removes the exporter's notes, which contain source paths and make up a tenth of a small file."""
    graph = model.graph
    del graph.metadata_props[:]
    for item in (*graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output):
        del item.metadata_props[:]
        item.doc_string = ""


def _complaint(error: BaseException, graph: Graph) -> str:
    """What PyTorch's exporter stumbled over: it names the node of the traced graph, several causes deep."""
    said = str(error.__cause__ or error)
    while error.__cause__ is not None:
        error = error.__cause__
    found = re.search(r"translating node %(\w+)", said)
    node = next((each for each in graph.nodes if found and each.name == found[1]), None)
    where = f"layer '{layer_of(node)}' ({node.target})" if node is not None else "the network"
    return (
        f"{where} cannot be exported to ONNX ({first_line(error)}); replace it by one that torch.onnx.export knows, "
        "or export TFLite alone"
    )
