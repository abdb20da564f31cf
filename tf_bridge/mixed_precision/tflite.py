"""Writes int8 TFLite files with some layers left in float."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.layer_names import layer_of_tensor
from tf_bridge.mixed_precision.groups import Operation, layer_groups
from tf_bridge.tflite.convert import TracedFunction, calibrated_tflite, quantized_tflite
from tf_bridge.tflite.export import write_tflite
from tf_bridge.tflite.flatbuffer import drop_idle_roundings
from tf_bridge.tflite.weight_steps import measure_steps
from torchseg.modelfile.precision import Precision
from torchseg.modelfile.tflite import TfliteModel
from torchseg.spec import ImageSpec

_TRANSPOSED = "TRANSPOSE_CONV"
_WEIGHTED = {"CONV_2D", "DEPTHWISE_CONV_2D", _TRANSPOSED, "FULLY_CONNECTED"}  # the second input is the weights


class MixedTflite:
    """A calibrated network that can be written as int8 TFLite files with any choice of layers in float.

    Value ranges are measured once, on creation.

    Args:
        traced: from `tflite_function`.
        spec: size, normalisation and classes of the network's images.
        images: for calibration, float32 `(B, C, H, W)`.
    """

    def __init__(self, traced: TracedFunction, spec: ImageSpec, images: NDArray[np.float32]) -> None:
        self._spec = spec
        self._calibrated, self._in_float = calibrated_tflite(traced, images)
        self._steps = measure_steps(self._calibrated, images)
        self._groups, self._transposed = _groups(self._calibrated)

    @property
    def layers(self) -> Sequence[str]:
        """The layers that can be in int8 or in float, in the order of the graph."""
        return list(self._groups)

    def write(self, path: Path, *, float_layers: Collection[str]) -> None:
        """Writes the file with these layers in float; input and output are always float32."""
        operations = {operation for layer in float_layers for operation in self._groups[layer]}
        operations |= self._in_float
        kinds = {_TRANSPOSED} if self._transposed in float_layers else set()
        # tf.lite.experimental.QuantizationDebugger would quantize every choice twice, and run it.
        content = quantized_tflite(self._calibrated, self._steps, denylisted_nodes=operations, denylisted_ops=kinds)
        write_tflite(drop_idle_roundings(content), self._spec, path, precision=Precision.INT8)


def _groups(calibrated: bytes) -> tuple[dict[str, list[str]], str]:
    """Layer name to the names of its operations, see `layer_groups`, and the layer of the transposed convolutions.

    The quantizer can exclude transposed convolutions only by operation type, so all of them count as one layer. In
    float they compute in float32, but their weights stay rounded to int8.
    """
    file = TfliteModel(calibrated)
    found = [(_operation(file.graph, each, file.kind(each)), file.kind(each)) for each in file.graph.operators]
    transposed = ", ".join(dict.fromkeys(operation.layer for operation, kind in found if kind == _TRANSPOSED))
    groups = layer_groups(
        replace(operation, layer=transposed) if kind == _TRANSPOSED else operation for operation, kind in found
    )
    return groups, transposed


def _operation(graph: Any, operation: Any, kind: str) -> Operation:
    def names(indices: Iterable[int]) -> list[str]:
        return [graph.tensors[index].name.decode() for index in indices if index >= 0]

    inputs, outputs = names(operation.inputs), names(operation.outputs)
    weighted = kind in _WEIGHTED
    return Operation(
        name=outputs[0],  # the quantizer identifies an operation by its output
        layer=layer_of_tensor(inputs[1] if weighted else outputs[0]),
        inputs=inputs,
        outputs=outputs,
        weighted=weighted,
    )
