"""Exports a PyTorch network to ONNX."""

from __future__ import annotations

import copy
import enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.calibration import check_calibration
from tf_bridge.metadata import metadata
from tf_bridge.onnx_precision import convert_onnx
from tf_bridge.partial_file import partial_file
from tf_bridge.precision import Precision
from tf_bridge.program import check_logits
from tf_bridge.quiet import quiet
from torchseg.spec import ImageSpec

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn


class OnnxShape(enum.StrEnum):
    """Which sides of the input a file leaves open."""

    STATIC = "static"  # batch 1, the size of the spec: the fastest
    DYNAMIC_BATCH = "dynamic_batch"  # any number of images of the spec's size
    DYNAMIC = "dynamic"  # any number of images of any size that divides by the network's stride


def export_onnx(
    model: nn.Module,
    spec: ImageSpec,
    path: Path,
    *,
    precision: Precision = Precision.FP32,
    calibration: NDArray[np.float32] | None = None,
    shape: OnnxShape = OnnxShape.STATIC,
) -> None:
    """Writes one `.onnx` file: `image` `(B, C, H, W)` in, `logits` `(B, K, H, W)` out, both float32 at every precision.

    Args:
        model: `(B, C, H, W)` images to `(B, K, H, W)` logits; left as it was.
        spec: the pictures that it was made for.
        path: of the file; appears when it is complete and checked.
        precision: number format of the file.
        calibration: for int8, float32 `(B, C, H, W)`, prepared as for evaluation.
        shape: which sides stay open. Open heights and widths go in steps of `model.stride`, or of 32 without one.

    Raises:
        ImportError: without onnxscript, or without ONNX Runtime at a precision that needs it.
        ValueError: if the network does not fit the spec or cannot be traced, or int8 gets no fitting images.
    """
    images = check_calibration(calibration, spec, precision=precision)
    exported = _trace(model, spec, shape)
    converted = convert_onnx(exported, precision, images)
    _strip_traces(converted)
    for key, value in metadata(spec, layout="NCHW", precision=precision).items():
        converted.metadata_props.add(key=key, value=value)
    import onnx

    onnx.checker.check_model(converted, full_check=True)
    with partial_file(path) as partial:
        partial.write_bytes(converted.SerializeToString())


def _trace(model: nn.Module, spec: ImageSpec, shape: OnnxShape) -> ModelProto:
    """The network as an `onnx.ModelProto` in float32."""
    import torch

    try:
        import onnxscript  # noqa: F401 - torch.onnx.export asks for it only halfway through
    except ImportError as error:
        raise ImportError("exporting .onnx files needs onnxscript: install torchseg-compress") from error
    network = copy.deepcopy(model).cpu().float().eval()
    batch = 1 if shape is OnnxShape.STATIC else 2  # a batch of 1 would be taken for a constant
    image = torch.zeros(batch, spec.channels, spec.height, spec.width)
    check_logits(network, image, spec)
    try:
        with quiet(), torch.no_grad():
            program = torch.onnx.export(
                network,
                (image,),
                input_names=["image"],
                output_names=["logits"],
                dynamo=True,
                external_data=False,
                verbose=False,
                dynamic_shapes=_dynamic_shapes(model, shape),
            )
    except torch.onnx.OnnxExporterError as error:
        raise ValueError(_complaint(error, shape)) from error
    assert program is not None
    return program.model_proto


def _dynamic_shapes(model: nn.Module, shape: OnnxShape) -> tuple[dict[int, Any]] | None:
    from torch.export import Dim

    if shape is OnnxShape.STATIC:
        return None
    if shape is OnnxShape.DYNAMIC_BATCH:
        return ({0: Dim("batch")},)
    stride = getattr(model, "stride", 32)
    stride = stride if isinstance(stride, int) else 32
    return ({0: Dim("batch"), 2: stride * Dim("rows"), 3: stride * Dim("columns")},)


def _strip_traces(model: ModelProto) -> None:
    """Removes the exporter's notes: they hold source paths of this machine and a tenth of a small file's bytes."""
    graph = model.graph
    del graph.metadata_props[:]
    for item in (*graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output):
        del item.metadata_props[:]
        item.doc_string = ""


def _complaint(error: Exception, shape: OnnxShape) -> str:
    reason = str(error.__cause__ or error).strip().splitlines()
    advice = (
        "replace the layer that it names by one that torch.onnx.export knows"
        if shape is OnnxShape.STATIC
        else f"export with shape '{OnnxShape.STATIC}', or make the network's forward free of sizes fixed by int()"
    )
    return f"the network cannot be exported to ONNX ({reason[0] if reason else type(error).__name__}); {advice}"
