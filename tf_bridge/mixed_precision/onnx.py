"""Writes int8 ONNX files with some layers left in float."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tf_bridge.mixed_precision.groups import Operation, layer_groups
from tf_bridge.onnx.export import save_onnx
from tf_bridge.onnx.quantize import measure_ranges, quantize_onnx
from tf_bridge.onnx.value_names import layer_of_node
from tf_bridge.onnx.weight_steps import measure_steps
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

if TYPE_CHECKING:
    from onnx import ModelProto

_WEIGHTED = {"Conv", "ConvTranspose", "Gemm", "MatMul"}


class MixedOnnx:
    """A calibrated network that can be written as int8 ONNX files with any choice of layers in float.

    Value ranges are measured once, on creation.

    Args:
        graph: float32 model from `onnx_graph`.
        spec: size, normalisation and classes of the network's images.
        images: for calibration, float32 `(B, C, H, W)`.
    """

    def __init__(self, graph: ModelProto, spec: ImageSpec, images: NDArray[np.float32]) -> None:
        self._graph, self._spec = graph, spec
        self._groups = _groups(graph)
        self._ranges, self._steps = measure_ranges(graph, images), measure_steps(graph, images)

    @property
    def layers(self) -> Sequence[str]:
        """The layers that can be in int8 or in float, in the order of the graph."""
        return list(self._groups)

    def write(self, path: Path, *, float_layers: Collection[str]) -> None:
        """Writes the file with these layers in float; input and output are float32, as in all ONNX files here."""
        nodes = [node for layer in float_layers for node in self._groups[layer]]
        mixed = quantize_onnx(self._graph, self._ranges, self._steps, float_nodes=nodes)
        save_onnx(mixed, self._spec, path, precision=Precision.INT8)


def _groups(graph: ModelProto) -> dict[str, list[str]]:
    """Layer name to the names of its nodes, see `layer_groups`."""
    weights = {tensor.name for tensor in graph.graph.initializer}
    return layer_groups(
        Operation(
            name=node.name,
            layer=layer_of_node(node, weights),
            inputs=list(node.input),
            outputs=list(node.output),
            weighted=node.op_type in _WEIGHTED,
        )
        for node in graph.graph.node
    )
