"""Exports one network to several files and does the work that they share only once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from tf_bridge.calibration import check_calibration
from tf_bridge.certify.file_reader import LocalFile, ReadFile
from tf_bridge.certify.network_layers import NetworkLayers
from tf_bridge.certify.proof import Pair, Proof, prove
from tf_bridge.certify.range_check import Ranges
from tf_bridge.float_weights import SHARES
from tf_bridge.keras.export import keras_model, write_keras
from tf_bridge.mixed_precision.onnx import MixedOnnx
from tf_bridge.mixed_precision.tflite import MixedTflite
from tf_bridge.onnx.export import check_onnx, onnx_graph, save_onnx, write_onnx
from tf_bridge.onnx.quantize import halve_onnx
from tf_bridge.packing.names import is_packed
from tf_bridge.tflite.convert import TracedFunction, convert_tflite
from tf_bridge.tflite.export import tflite_function, write_tflite
from tf_bridge.tflite.flatbuffer import halve_tflite
from tf_bridge.tracing import export_program, first_line
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn
    from torch.export import ExportedProgram


class MixedPrecisionWriter(Protocol):
    """Writes int8 files of a network in which any chosen layers stay in float."""

    @property
    def layers(self) -> Sequence[str]:
        """PyTorch names of the layers to choose from; each covers all operations up to the next layer with weights."""
        ...

    def write(self, path: Path, *, float_layers: Collection[str]) -> None:
        """Writes a file with these layers in float and all others in int8."""
        ...


class Conversion:
    """Writes a network to all formats at any number of precisions, and proves the files against it.

    The files equal those of `export_onnx`, `export_tflite` and `export_keras` byte for byte. PyTorch traces the
    network when the first file is written, and each format translates that trace once. Later changes to the weights of
    `model` have no effect: create a new conversion after further training. A conversion holds several copies of the
    weights, so drop it after the last file.

    Args:
        model: maps an image `(1, C, H, W)` to logits `(1, K, H, W)`; not modified.
        spec: size, normalisation and classes of the network's images.
    """

    def __init__(self, model: nn.Module, spec: ImageSpec) -> None:
        self.model, self.spec = model, spec
        self._ranges: dict[bytes, Ranges] = {}  # by hash of the calibration images

    def write(
        self,
        path: Path,
        *,
        precision: Precision = Precision.FP32,
        calibration: NDArray[np.float32] | None = None,
    ) -> None:
        """Writes one file, and raises what `export_onnx`, `export_tflite` and `export_keras` raise.

        Args:
            path: of the file; the suffix, `.onnx`, `.tflite` or `.keras`, selects the format.
            precision: number format of the file.
            calibration: for int8, float32 `(B, C, H, W)`, prepared as for evaluation.
        """
        images = check_calibration(calibration, self.spec, precision=precision)
        if path.suffix == ".onnx":
            write_onnx(self.graph, self.spec, path, precision=precision, images=images)
        elif path.suffix == ".tflite":
            content = convert_tflite(self.function, precision=precision, images=images)
            write_tflite(content, self.spec, path, precision=precision)
        elif path.suffix == ".keras":
            if precision is not Precision.FP32:
                raise ValueError(f"a Keras file is fp32, and {precision} came; give fp32, or an .onnx or .tflite file")
            write_keras(keras_model(self.function), self.spec, path)
        else:
            raise ValueError(f"{path} names no format; give a file that ends in .onnx, .tflite or .keras")

    def refusal(self, kind: str) -> str:
        """Why the network cannot be exported to a format, as far as tracing and translating it shows.

        The converters are not run: they need trained weights to be worth their time, and what they refuse is rare.

        Args:
            kind: `onnx`, `tflite` or `keras`.

        Returns:
            One sentence; empty if nothing speaks against the export.

        Raises:
            ImportError: if a package for the format is not installed.
        """
        try:
            if kind == "onnx":
                check_onnx(self.graph, Precision.FP32)
            elif kind == "keras":
                keras_model(self.function)
            else:
                _ = self.function
        except ImportError:
            raise
        except Exception as error:  # what a translator stumbles over cannot be exported, whatever it raises
            return first_line(error)
        return ""

    def write_fp16(self, path: Path, holds: Callable[[Path], bool]) -> list[str]:
        """Writes an fp16 file; if it is not accurate enough, keeps the smallest weight tensors in float32 until it is.

        Args:
            path: ends in `.onnx` or `.tflite`.
            holds: whether the file at the given path is close enough to the network; called at most six times, always
                with `path`.

        Returns:
            The layers whose weights stayed in float32. Empty if the plain fp16 file holds, and also if no file holds
            with up to half of all values in float32; then the plain fp16 file is written.
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
        """Calibrates the network for int8 files in which any chosen layers stay in float.

        Args:
            kind: `.onnx` or `.tflite`.
            calibration: float32 `(B, C, H, W)`, prepared as for evaluation.
        """
        images = check_calibration(calibration, self.spec, precision=Precision.INT8)
        assert images is not None
        if kind == ".onnx":
            return MixedOnnx(self.graph, self.spec, images)
        return MixedTflite(self.function, self.spec, images)

    def prove(
        self,
        path: Path,
        images: Sequence[Pair],
        *,
        precision: Precision,
        calibration: NDArray[np.float32] | None = None,
        read: ReadFile = LocalFile,
    ) -> Proof:
        """Holds the layers of a file against those of the network, see `prove_layers`.

        Args:
            path: of a file that should compute this network; may be packed or end to end.
            images: pairs of an image for the network, float32 `(1, C, H, W)`, and the same image for the file.
            precision: of the file.
            calibration: for int8, the images that the file was calibrated with.
            read: makes what reads and runs the file, which may do so in another process.
        """
        held = check_calibration(calibration, self.spec, precision=precision)
        return prove(
            path,
            self.layers,
            images,
            precision=precision,
            ranges=None if held is None or self.layers.unproven else self.ranges(held),
            reader=read(path, self.graph if path.suffix == ".onnx" and is_packed(path) else None),
        )

    def ranges(self, calibration: NDArray[np.float32]) -> Ranges:
        """The range of each of the network's values over these images, `(B, C, H, W)`; measured once."""
        key = hashlib.sha256(calibration.tobytes()).digest()
        if key not in self._ranges:
            self._ranges[key] = self.layers.ranges(calibration)
        return self._ranges[key]

    @cached_property
    def layers(self) -> NetworkLayers:
        """The network, to be run layer by layer."""
        return NetworkLayers(self.program)

    @cached_property
    def program(self) -> ExportedProgram:
        """The traced network."""
        return export_program(self.model, self.spec)

    @cached_property
    def graph(self) -> ModelProto:
        """The network as a float32 ONNX model, batch 1."""
        return onnx_graph(self.program)

    @cached_property
    def function(self) -> TracedFunction:
        """The network as a TensorFlow function of one image."""
        return tflite_function(self.program, self.spec)
