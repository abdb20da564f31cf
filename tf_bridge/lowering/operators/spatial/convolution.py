"""Convolutions in TensorFlow. Images are NHWC; weights come in PyTorch's layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.lowering.layout import in_channels_last, reshaped
from tf_bridge.lowering.operators.spatial.image_kernels import convolved_by_image
from tf_bridge.lowering.values import Operand, Tensor, TensorFlow, Value, channels_last, graph_value, pair, value_of

Weight = NDArray[np.float32]


def _sides(image: Tensor) -> list[int]:
    return [int(side) for side in image.shape]


def conv2d(
    tf: TensorFlow,
    image: Tensor,
    weight: Weight,
    bias: Weight | None,
    stride: list[int],
    padding: list[int] | str,
    dilation: list[int],
    groups: int,
) -> Tensor:
    """Plain, grouped or depthwise convolution; weight `(out, in / groups, kh, kw)`."""
    strides, dilations = pair(stride), pair(dilation)
    kernel = weight.shape[2:]
    pads = _pads(padding, kernel, dilations)
    rule = "SAME" if _is_same(image, kernel, strides, pads, dilations) else "VALID"
    if rule == "VALID" and any(sum(sides) for sides in pads):
        image = tf.pad(image, [(0, 0), *pads, (0, 0)])
    common = {"strides": [1, *strides, 1], "padding": rule, "dilations": [1, *dilations, 1]}
    if groups > 1 and groups == _sides(image)[3] and strides[0] == strides[1]:
        multiplier = weight.shape[0] // groups
        kernels = weight.reshape(groups, multiplier, *kernel).transpose(2, 3, 0, 1)  # (kh, kw, in, multiplier)
        features = tf.raw_ops.DepthwiseConv2dNative(input=image, filter=kernels, **common)
    else:
        kernels = weight.transpose(2, 3, 1, 0)  # (kh, kw, in / groups, out)
        features = tf.raw_ops.Conv2D(input=image, filter=kernels, **common)
    return features if bias is None else tf.nn.bias_add(features, bias)


def _pads(padding: list[int] | str, kernel: tuple[int, ...], dilations: tuple[int, int]) -> list[tuple[int, int]]:
    """Pixels before and after the rows, and the columns."""
    if not isinstance(padding, str):
        return [(side, side) for side in pair(padding)]
    if padding != "same":
        return [(0, 0), (0, 0)]
    return [((d * (k - 1)) // 2, -(-(d * (k - 1)) // 2)) for k, d in zip(kernel, dilations, strict=True)]


def _is_same(
    image: Tensor,
    kernel: tuple[int, ...],
    strides: tuple[int, int],
    pads: list[tuple[int, int]],
    dilations: tuple[int, int],
) -> bool:
    """Whether TensorFlow's SAME padding equals `pads`, so that the file needs no separate padding operation."""
    for side, k, stride, (before, after), dilation in zip(
        _sides(image)[1:3], kernel, strides, pads, dilations, strict=True
    ):
        reach = dilation * (k - 1) + 1
        outputs = (side + before + after - reach) // stride + 1
        needed = max((outputs - 1) * stride + reach - side, 0)
        same_outputs = -(-side // stride)
        if outputs != same_outputs or needed // 2 != before or needed - needed // 2 > after:
            return False
    return True


def _conv_transpose2d(
    tf: TensorFlow,
    image: Tensor,
    weight: Weight,
    bias: Weight | None,
    stride: list[int],
    padding: list[int],
    output_padding: list[int],
    groups: int,
    dilation: list[int],
) -> Tensor:
    """Transposed convolution; weight `(in, out / groups, kh, kw)`. PyTorch crops the full result by `padding`."""
    weight = _dilated(weight, pair(dilation))
    parts = tf.split(image, groups, axis=3) if groups > 1 else [image]
    kernels = np.split(weight, groups, axis=0)
    biases = [None] * groups if bias is None else np.split(bias, groups)
    geometry = (pair(stride), pair(padding), pair(output_padding))
    outputs = [_transposed_group(tf, *each, geometry) for each in zip(parts, kernels, biases, strict=True)]
    return outputs[0] if groups == 1 else tf.concat(outputs, axis=3)


def _dilated(weight: Weight, dilation: tuple[int, int]) -> Weight:
    """The kernel with zeros between its values, because TFLite has no dilation of transposed convolutions."""
    if dilation == (1, 1):
        return weight
    spread = [step * (side - 1) + 1 for side, step in zip(weight.shape[2:], dilation, strict=True)]
    wide = np.zeros((*weight.shape[:2], *spread), weight.dtype)
    wide[:, :, :: dilation[0], :: dilation[1]] = weight
    return wide


def _transposed_group(
    tf: TensorFlow, image: Tensor, weight: Weight, bias: Weight | None, geometry: tuple[tuple[int, int], ...]
) -> Tensor:
    """The bias comes before the crop, so that the converter makes it part of the convolution."""
    strides, pads, extra = geometry
    batch, *sides, _ = _sides(image)
    kernel, channels = weight.shape[2:], weight.shape[1]
    wanted, full, same = [], [], True
    for side, k, stride, pad, more in zip(sides, kernel, strides, pads, extra, strict=True):
        out = (side - 1) * stride + k - 2 * pad + more
        spare = max((-(-out // stride) - 1) * stride + k - out, 0)
        same = same and -(-out // stride) == side and spare // 2 == pad and k >= stride
        wanted.append(out)
        full.append(max((side - 1) * stride + max(k, stride if more else k), pad + out))
    filters = weight.transpose(2, 3, 1, 0)  # (kh, kw, out, in)
    size, rule = (wanted, "SAME") if same else (full, "VALID")
    features = tf.nn.conv2d_transpose(image, filters, [batch, *size, channels], list(strides), padding=rule)
    features = features if bias is None else tf.nn.bias_add(features, bias)
    return features if same else tf.slice(features, [0, *pads, 0], [batch, *wanted, channels])


def _convolved(tf: TensorFlow, image: Value, weight: Weight | Value, bias: Operand | None, *arguments: Any) -> Value:
    """A convolution, with weights that are constant or depend on the image."""
    if not (isinstance(weight, Value) or isinstance(bias, Value)):
        return _CONSTANT(tf, image, weight, bias, *arguments)
    stride, padding, dilation, groups = arguments
    batched = image if image.rank == 4 else reshaped(tf, image, (1, *image.shape))
    kernels = graph_value(tf, weight)
    pads = _pads(padding, kernels.shape[2:], pair(dilation))
    result = convolved_by_image(tf, batched, kernels, bias, pair(stride), pads, pair(dilation), groups)
    return result if image.rank == 4 else reshaped(tf, result, result.shape[1:])


def _on_image(function: Callable[..., Tensor]) -> Callable[..., Value]:
    """A convolution of values from one of NHWC tensors. An image without a batch gets one meanwhile."""

    def apply(tf: TensorFlow, image: Value, weight: Weight, bias: Weight | None, *arguments: Any) -> Value:
        _check_constant(weight, "weight")
        _check_constant(bias, "bias")
        batched = image if image.rank == 4 else reshaped(tf, image, (1, *image.shape))
        features = function(tf, in_channels_last(tf, batched).tensor, weight, bias, *arguments)
        result = value_of(features, channels_last(4))
        return result if image.rank == 4 else reshaped(tf, result, result.shape[1:])

    return apply


def _on_rows(on_image: Callable[..., Value], neutral: tuple[int, ...]) -> Callable[..., Value]:
    """A one-dimensional convolution, as that of an image of one row.

    Args:
        on_image: the convolution of images.
        neutral: stride, padding, ... across the row that do nothing, in the order of the function's lists.
    """

    def apply(tf: TensorFlow, row: Value, weight: Weight | Value, bias: Operand | None, *arguments: Any) -> Value:
        image = reshaped(tf, row, (*row.shape[:-1], 1, row.shape[-1]))
        wide = [
            [nothing, each[0]] if isinstance(each, list) else each
            for each, nothing in zip(arguments, neutral, strict=True)
        ]
        sides = (*weight.shape[:2], 1, weight.shape[2])
        kernels = reshaped(tf, weight, sides) if isinstance(weight, Value) else weight.reshape(sides)
        features = on_image(tf, image, kernels, bias, *wide)
        return reshaped(tf, features, (*features.shape[:-2], features.shape[-1]))

    return apply


def _check_constant(weight: Any, name: str) -> None:
    if isinstance(weight, Value):
        raise ValueError(
            f"a transposed convolution whose {name} depends on the image; mix the results of several convolutions"
        )


_CONSTANT, _IMAGE, _IMAGE_TRANSPOSED = _on_image(conv2d), _convolved, _on_image(_conv_transpose2d)
_ROW = _on_rows(_IMAGE, neutral=(1, 0, 1, 1))
_ROW_TRANSPOSED = _on_rows(_IMAGE_TRANSPOSED, neutral=(1, 0, 0, 1, 1))


def _convolution(
    tf: TensorFlow,
    image: Value,
    weight: Weight | Value,
    bias: Operand | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    output_padding: list[int],
    groups: int,
) -> Value:
    """The general operator, into which PyTorch decomposes all convolutions."""
    rows = len(weight.shape) == 3
    if transposed:
        transposition = _ROW_TRANSPOSED if rows else _IMAGE_TRANSPOSED
        return transposition(tf, image, weight, bias, stride, padding, output_padding, groups, dilation)
    return (_ROW if rows else _IMAGE)(tf, image, weight, bias, stride, padding, dilation, groups)


def _unfold(
    tf: TensorFlow, image: Value, kernel: list[int], dilation: list[int], padding: list[int], stride: list[int]
) -> Value:
    """PyTorch's `unfold`: the pixels of every window, as a depthwise convolution that copies them."""
    channels = image.shape[1]
    copies = np.tile(_single_pixels(kernel), (channels, 1, 1, 1))  # (C kh kw, 1, kh, kw)
    windows = _IMAGE(tf, image, copies, None, stride, padding, dilation, channels)
    return reshaped(tf, windows, (*windows.shape[:2], prod(windows.shape[2:])))


def _fold(
    tf: TensorFlow,
    columns: Value,
    size: list[int],
    kernel: list[int],
    dilation: list[int],
    padding: list[int],
    stride: list[int],
) -> Value:
    """PyTorch's `fold`: adds the pixels of every window, as a transposed convolution."""
    geometry = (size, kernel, dilation, padding, stride)
    reached = [(side + 2 * pad - step * (k - 1) - 1) for side, k, step, pad, _ in zip(*geometry, strict=True)]
    sides = [span // each + 1 for span, each in zip(reached, stride, strict=True)]
    rest = [span % each for span, each in zip(reached, stride, strict=True)]  # pixels behind the last window
    channels = columns.shape[1] // prod(kernel)
    weight = np.zeros((columns.shape[1], channels, *kernel), np.float32)
    for channel in range(channels):
        weight[channel * prod(kernel) : (channel + 1) * prod(kernel), channel] = _single_pixels(kernel)[:, 0]
    windows = reshaped(tf, columns, (*columns.shape[:2], *sides))
    return _IMAGE_TRANSPOSED(tf, windows, weight, None, stride, padding, rest, 1, dilation)


def _single_pixels(kernel: list[int]) -> Weight:
    """One kernel for each of its pixels, `(kh kw, 1, kh, kw)`."""
    count = prod(kernel)
    return np.eye(count, dtype=np.float32).reshape(count, 1, *kernel)


CONVOLUTION: Mapping[str, Callable[..., Any]] = {
    "aten.conv2d.default": _IMAGE,
    "aten.conv2d.padding": _IMAGE,
    "aten.conv_transpose2d.input": _IMAGE_TRANSPOSED,
    "aten.conv1d.default": _ROW,
    "aten.conv1d.padding": _ROW,
    "aten.conv_transpose1d.default": _ROW_TRANSPOSED,
    "aten.convolution.default": _convolution,
    "aten.im2col.default": _unfold,
    "aten.col2im.default": _fold,
}
