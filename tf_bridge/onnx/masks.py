"""Masks of attention in ONNX graphs, see `tf_bridge.masked_scores`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tf_bridge.masked_scores import Operation, Tensor, mask_constants, masked_scores
from torchseg.record import plain_json

if TYPE_CHECKING:
    from onnx import ModelProto

_INSTEAD_OF_INFINITY = 1e30  # as infinity, it leaves nothing of a score that is added to it in float32


def masked_nodes(model: ModelProto, ranges: bytes) -> list[str]:
    """Names of the nodes from each mask of very negative constants to its softmax.

    Args:
        model: float32.
        ranges: of its tensors, in ONNX Runtime's JSON format.
    """
    data = dict(plain_json(ranges.decode()))["data"]
    ends = {name: (float(each["lowest"]["data"][0]), float(each["highest"]["data"][0])) for name, each in data.items()}
    computed = _computed(model)
    found = masked_scores(_operations(model), {name: each for name, each in ends.items() if name in computed})
    return sorted(found)


def masks(model: ModelProto) -> set[str]:
    """Names of the initializers that are masks of attention."""
    constants = {each.name for each in model.graph.initializer}
    return {str(name) for name in mask_constants(_operations(model), _computed(model)) if name in constants}


def make_masks_finite(model: ModelProto) -> ModelProto:
    """Replaces infinities in masks by numbers that a softmax turns into 0 as well, in place.

    Infinity has no range, and ONNX Runtime's quantizer needs one even of what stays in float.

    Returns:
        The same model.
    """
    from onnx import numpy_helper

    known = masks(model)
    for tensor in model.graph.initializer:
        if tensor.name not in known:
            continue
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and np.isinf(values).any():
            finite = np.where(np.isinf(values), np.sign(values) * _INSTEAD_OF_INFINITY, values).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(finite, tensor.name))
    return model


def _operations(model: ModelProto) -> list[Operation]:
    return [Operation(each.name, each.op_type, tuple(each.input), tuple(each.output)) for each in model.graph.node]


def _computed(model: ModelProto) -> set[Tensor]:
    """The tensors that depend on the image."""
    found: set[Tensor] = {each.name for each in model.graph.input}
    for node in model.graph.node:
        if found.intersection(node.input):
            found.update(node.output)
    return found
