"""Exports a PyTorch network to TFLite through TensorFlow's own converter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tf_bridge.calibration import check_calibration
from tf_bridge.lowering.lazy_tensorflow import import_tensorflow
from tf_bridge.lowering.lower import lower_program
from tf_bridge.tflite.convert import TracedFunction, convert_tflite, trace_lowered
from tf_bridge.tflite.tflite_labels import label_tflite
from tf_bridge.tracing import export_program
from torchseg.modelfile.metadata import metadata
from torchseg.modelfile.precision import Precision
from torchseg.partial_file import partial_file
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
    """Writes a `.tflite` file with static shapes: `image` `(1, H, W, C)` in, `logits` `(1, H, W, K)` out.

    Both are float32, except at int8, where both are int8 with the scale that the file holds.

    Args:
        model: `(1, C, H, W)` image to `(1, K, H, W)` logits; left as it was.
        spec: the pictures that it was made for.
        path: of the file; appears when it is complete.
        precision: number format of the file.
        calibration: for int8, float32 `(B, C, H, W)`, prepared as for evaluation.

    Raises:
        ImportError: without TensorFlow.
        UnsupportedOperatorError: a ValueError, for a network with an operator that is not known here.
        ValueError: if the network does not fit the spec, or int8 gets no fitting calibration images.
    """
    images = check_calibration(calibration, spec, precision=precision)
    import_tensorflow()  # so that its lack is told before the network is traced
    traced = tflite_function(export_program(model, spec), spec)
    write_tflite(convert_tflite(traced, precision=precision, images=images), spec, path, precision=precision)


def tflite_function(program: ExportedProgram, spec: ImageSpec) -> TracedFunction:
    """A traced PyTorch network as a TensorFlow function of one image.

    Raises:
        ImportError: without TensorFlow.
        UnsupportedOperatorError: a ValueError, for a network with an operator that is not known here.
    """
    tf = import_tensorflow()
    return trace_lowered(tf, lower_program(program, tf), (1, spec.height, spec.width, spec.channels))


def write_tflite(content: bytes, spec: ImageSpec, path: Path, *, precision: Precision) -> None:
    """Writes a converted network, with the project's names and metadata; the file appears when it is complete."""
    labelled = label_tflite(content, metadata(spec, layout="NHWC", precision=precision))
    with partial_file(path) as partial:
        partial.write_bytes(labelled)
