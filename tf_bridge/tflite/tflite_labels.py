"""Names and metadata inside a TFLite file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def label_tflite(content: bytes, entries: Mapping[str, str]) -> bytes:
    """Names the input `image` and the output `logits` and adds the metadata entries.

    Args:
        content: bytes of a `.tflite` file with one input and one output, which the converter calls
            `serving_default_image:0` and `PartitionedCall:0`.
        entries: metadata, name to text.

    Returns:
        Bytes of the file with the same graph and weights.
    """
    import numpy as np
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    graph = model.subgraphs[0]
    for index, name in ((graph.inputs[0], b"image"), (graph.outputs[0], b"logits")):
        graph.tensors[index].name = name
    _name_layers(graph)
    for key, text in entries.items():
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(text.encode(), np.uint8)
        model.buffers.append(buffer)
        entry = schema.MetadataT()
        entry.name, entry.buffer = key.encode(), len(model.buffers) - 1
        model.metadata = [*(model.metadata or []), entry]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _name_layers(graph: Any) -> None:
    """Names what a layer's operator computes `LAYER/OPERATOR`; the converter says by which operations it does.

    An operation that others were fused into lists them all, its own name first. Where an operator takes several
    operations, the last one has its result.
    """
    last: dict[bytes, Any] = {}
    for operation in graph.operators:
        tensor = graph.tensors[operation.outputs[0]]
        layer, _, rest = tensor.name.split(b";")[0].partition(b"/")
        if rest.count(b"/"):
            last[layer + b"/" + rest.split(b"/")[0]] = tensor
    for name, tensor in last.items():
        tensor.name = name
