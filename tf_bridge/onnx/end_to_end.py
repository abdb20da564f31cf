"""Adds normalisation before an ONNX graph and the argmax after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from torchseg.spec import ImageSpec

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

_PREPARED = "image.prepared"


def end_to_end_onnx(model: ModelProto, spec: ImageSpec) -> ModelProto:
    """Makes a model end-to-end, in place.

    Args:
        model: maps `image`, float32 `(B, C, H, W)`, to `logits`, float32 `(B, K, H, W)`.
        spec: mean and std of the normalisation.

    Returns:
        The same model, which now maps `image`, uint8 `(B, H, W, C)`, to `classes`, uint8 `(B, H, W)`.
    """
    from onnx import TensorProto, helper

    graph = model.graph
    (image,), (logits,) = graph.input, graph.output
    for node in graph.node:
        node.input[:] = [_PREPARED if name == image.name else name for name in node.input]
    batch, channels, height, width = (_side(side) for side in image.type.tensor_type.shape.dim)
    nodes = [*_scaling(image.name), *graph.node, *_argmax(logits.name)]
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    graph.initializer.extend(_constants(spec))
    graph.input.append(helper.make_tensor_value_info(image.name, TensorProto.UINT8, [batch, height, width, channels]))
    graph.output.append(helper.make_tensor_value_info("classes", TensorProto.UINT8, [batch, height, width]))
    return model


def _scaling(image: str) -> list[NodeProto]:
    from onnx import TensorProto, helper

    return [
        helper.make_node("Transpose", [image], ["image.channels_first"], name="image.transpose", perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["image.channels_first"], ["image.float"], name="image.cast", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["image.float", "image.factor"], ["image.scaled"], name="image.scale"),
        helper.make_node("Add", ["image.scaled", "image.summand"], [_PREPARED], name="image.shift"),
    ]


def _constants(spec: ImageSpec) -> list[TensorProto]:
    """`(picture / 255 - mean) / std` as one factor and one summand per channel, each `(1, C, 1, 1)`."""
    from onnx import numpy_helper

    mean, std = np.asarray(spec.mean), np.asarray(spec.std)
    values = {"image.factor": 1 / (255 * std), "image.summand": -mean / std}
    return [
        numpy_helper.from_array(value.astype(np.float32).reshape(1, -1, 1, 1), name) for name, value in values.items()
    ]


def _argmax(logits: str) -> list[NodeProto]:
    from onnx import TensorProto, helper

    return [
        helper.make_node("ArgMax", [logits], ["classes.wide"], name="classes.argmax", axis=1, keepdims=0),
        helper.make_node("Cast", ["classes.wide"], ["classes"], name="classes.cast", to=TensorProto.UINT8),
    ]


def _side(side: object) -> int | str | None:
    return side.dim_value if side.HasField("dim_value") else side.dim_param or None  # type: ignore[attr-defined]
