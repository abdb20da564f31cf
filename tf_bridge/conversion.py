"""One network, many files: what they share is made once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from tf_bridge.calibration import check_calibration
from tf_bridge.float_weights import SHARES
from tf_bridge.mixed_precision.onnx import MixedOnnx
from tf_bridge.mixed_precision.tflite import MixedTflite
from tf_bridge.onnx.export import onnx_graph, save_onnx, write_onnx
from tf_bridge.onnx.quantize import halve_onnx
from tf_bridge.tflite.convert import TracedFunction, convert_tflite
from tf_bridge.tflite.export import tflite_function, write_tflite
from tf_bridge.tflite.flatbuffer import halve_tflite
from tf_bridge.tracing import export_program
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn
    from torch.export import ExportedProgram


class MixedPrecisionWriter(Protocol):
    """A network in int8 whose layers may be left in float, one by one."""

    @property
    def layers(self) -> Sequence[str]:
        """Their names in PyTorch; each stands for what follows it, too, up to the next layer with weights."""
        ...

    def write(self, path: Path, *, float_layers: Collection[str]) -> None:
        """Writes a file with these layers in float."""
        ...


class Conversion:
    """Writes a network to both formats at any number of precisions.

    The files are those of `export_onnx` and `export_tflite`, byte by byte. PyTorch traces the network when the first
    one is asked for, and each format translates that trace once. The weights are those of then: make a new conversion
    after a training. It holds a few copies of them, so let it go when the last file is written.

    Args:
        model: `(1, C, H, W)` image to `(1, K, H, W)` logits; left as it was.
        spec: the pictures that it was made for.
    """

    def __init__(self, model: nn.Module, spec: ImageSpec) -> None:
        self.model, self.spec = model, spec

    def write(
        self,
        path: Path,
        *,
        precision: Precision = Precision.FP32,
        calibration: NDArray[np.float32] | None = None,
    ) -> None:
        """Writes one file; its ending, `.onnx` or `.tflite`, says in which format. Raises what the exporters raise."""
        images = check_calibration(calibration, self.spec, precision=precision)
        if path.suffix == ".onnx":
            write_onnx(self.graph, self.spec, path, precision=precision, images=images)
        elif path.suffix == ".tflite":
            content = convert_tflite(self.function, precision=precision, images=images)
            write_tflite(content, self.spec, path, precision=precision)
        else:
            raise ValueError(f"{path} names no format; give a file that ends in .onnx or .tflite")

    def write_fp16(self, path: Path, holds: Callable[[Path], bool]) -> list[str]:
        """Writes an fp16 file, with the lightest weights in float32 as far as it does not hold without them.

        Args:
            path: ends in `.onnx` or `.tflite`.
            holds: whether a file is close enough to the network; asked of few files, all at `path`.

        Returns:
            The layers whose weights are in float32: none for a file that holds as it is, or does not hold with half of
            all values in float32.
        """
        self.write(path, precision=Precision.FP16)
        if holds(path):
            return []
        whole = convert_tflite(self.function) if path.suffix == ".tflite" else b""
        for share in SHARES:
            if path.suffix == ".onnx":
                graph, layers = halve_onnx(self.graph, float_share=share)
                save_onnx(graph, self.spec, path, precision=Precision.FP16)
            else:
                content, layers = halve_tflite(whole, float_share=share)
                write_tflite(content, self.spec, path, precision=Precision.FP16)
            if holds(path):
                return layers
        self.write(path, precision=Precision.FP16)
        return []

    def mixed_precision(self, kind: str, calibration: NDArray[np.float32]) -> MixedPrecisionWriter:
        """The network in int8, ready to be written with any choice of layers in float, as `.onnx` or `.tflite`."""
        images = check_calibration(calibration, self.spec, precision=Precision.INT8)
        assert images is not None
        if kind == ".onnx":
            return MixedOnnx(self.graph, self.spec, images)
        return MixedTflite(self.function, self.spec, images)

    @cached_property
    def program(self) -> ExportedProgram:
        """The traced network."""
        return export_program(self.model, self.spec)

    @cached_property
    def graph(self) -> ModelProto:
        """The network as a float32 ONNX graph."""
        return onnx_graph(self.program)

    @cached_property
    def function(self) -> TracedFunction:
        """The network as a TensorFlow function."""
        return tflite_function(self.program, self.spec)
