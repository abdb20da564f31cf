"""Counts the multiply-adds for one image in any kind of model file, without running it."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchseg.modelfile.kinds import runtime_name
from torchseg.modelfile.layout import layout_of
from torchseg.modelfile.weights import tflite_operators

if TYPE_CHECKING:
    import onnx

Shape = Sequence[int]
# Index of the kernel among the inputs of each ONNX operator that multiplies.
_CONVOLUTIONS = {"Conv": 1, "ConvInteger": 1, "QLinearConv": 3, "FusedConv": 1}
_PRODUCTS = {"Gemm": 1, "MatMul": 1, "MatMulInteger": 1, "QLinearMatMul": 3}


def multiply_adds_in(path: Path, image_shape: Shape) -> int | None:
    """Multiply-adds of convolutions and matrix products for one image.

    Args:
        path: a checkpoint's folder or its weights file, an .onnx file or a .tflite file.
        image_shape: `(1, C, H, W)` of the image, for files with dynamic dimensions.

    Returns:
        The number of multiply-adds; None if the file does not declare its tensor shapes.

    Raises:
        ValueError: if the kind of file is unknown.
    """
    readers = {"torch": _in_checkpoint, "onnxruntime": _in_onnx, "litert": _in_tflite}
    reader = readers.get(runtime_name(path))  # a Keras file declares the shapes of its inputs alone
    return reader(path, image_shape) if reader else None


def _in_checkpoint(path: Path, image_shape: Shape) -> int:
    from dataclasses import replace

    from torchseg.checkpoint import load_checkpoint, read_card
    from torchseg.models.multiply_adds import multiply_adds

    card = read_card(path.parent if path.is_file() else path)
    if (card.spec.height, card.spec.width) == tuple(image_shape[2:]) and "multiply_adds" in card.metrics:
        return int(card.metrics["multiply_adds"])  # counted at training time; counting would import much of PyTorch
    model, card = load_checkpoint(path)
    return multiply_adds(model, replace(card.spec, height=image_shape[2], width=image_shape[3]))


def _in_onnx(path: Path, image_shape: Shape) -> int | None:
    import onnx

    model = onnx.load(path)
    _fix_sides(model, image_shape)
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    values = [*inferred.value_info, *inferred.input, *inferred.output]
    shapes: dict[str, Shape] = {each.name: _sides(each) for each in values}
    shapes |= {each.name: list(each.dims) for each in inferred.initializer}
    shapes |= {each.output[0]: list(each.attribute[0].t.dims) for each in inferred.node if each.op_type == "Constant"}
    counts = [_onnx_node(each, shapes) for each in inferred.node]
    return None if None in counts else sum(count for count in counts if count is not None)


def _fix_sides(model: onnx.ModelProto, image_shape: Shape) -> None:
    """Sets the dynamic dimensions of the image input to the sides of `image_shape`."""
    stored = {each.name for each in model.graph.initializer}
    picture = next(each for each in model.graph.input if each.name not in stored)
    declared = _sides(picture)
    if len(declared) != 4:
        return
    channels_last = layout_of(declared, usual="NCHW") == "NHWC"
    batch, channels, height, width = image_shape
    actual = (batch, height, width, channels) if channels_last else image_shape
    for side, size in zip(picture.type.tensor_type.shape.dim, actual, strict=True):
        if not side.dim_value:
            side.dim_value = size


def _sides(value: onnx.ValueInfoProto) -> Shape:
    return [side.dim_value for side in value.type.tensor_type.shape.dim]


def _onnx_node(node: onnx.NodeProto, shapes: dict[str, Shape]) -> int | None:
    """Multiply-adds of one operator; 0 if it does not multiply, None if it does but its shapes are unknown."""
    kind = node.op_type
    if kind not in (*_CONVOLUTIONS, *_PRODUCTS, "ConvTranspose"):
        return 0
    kernel = shapes.get(node.input[{**_CONVOLUTIONS, **_PRODUCTS}.get(kind, 1)], [])
    image, result = shapes.get(node.input[0], []), shapes.get(node.output[0], [])
    if not kernel or 0 in (*kernel, *image, *result) or not result:
        return None
    if kind in _CONVOLUTIONS:
        return prod(result) * prod(kernel[1:])
    if kind == "ConvTranspose":
        return prod(image) * prod(kernel[1:])
    across = {each.name: each.i for each in node.attribute}.get("transB", 0)
    return prod(result) * kernel[-1 if across else -2 if len(kernel) > 1 else 0]


def _in_tflite(path: Path, _: Shape) -> int:
    return sum(_tflite_operator(each.kind, each.input_shapes, each.output_shapes[0]) for each in tflite_operators(path))


def _tflite_operator(kind: str, inputs: Sequence[Shape], result: Shape) -> int:
    counted: dict[str, Any] = {
        "CONV_2D": lambda: prod(result) * prod(inputs[1][1:]),
        "DEPTHWISE_CONV_2D": lambda: prod(result) * prod(inputs[1][1:3]),
        "FULLY_CONNECTED": lambda: prod(result) * inputs[1][-1],
        "BATCH_MATMUL": lambda: prod(result) * inputs[0][-1],
        "TRANSPOSE_CONV": lambda: prod(inputs[2]) * prod(inputs[1][:3]),
        "Convolution2DTransposeBias": lambda: prod(inputs[0]) * prod(inputs[1][:3]),  # a custom operator of MediaPipe
    }
    return int(counted[kind]()) if kind in counted else 0
