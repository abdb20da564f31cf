"""The Keras layer for each operator of a lowered network, with its weights. Values are channels-last, without batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

KerasTensor = Any
Keras = Any  # the module; Any because Keras is imported late
Array = NDArray[Any]
_LAST = {"data_format": "channels_last"}  # a user's keras.json may set another default
_IMAGE = (1, 2)  # axes of height and width


class NoLayerError(Exception):
    """An operator that no layer of Keras computes; the text says which use of it."""


@dataclass(frozen=True)
class Step:
    """One operator of the TensorFlow graph.

    Attributes:
        op: the `tf.Operation`.
        name: of the Keras layer; a layer before it, in the same operator, appends a word.
        inputs: a Keras tensor for each that depends on the image, else an array.
        bias: of a convolution, `(C_out,)`.
        summand: that follows a factor per channel, `(C,)`.
    """

    op: Any
    name: str
    inputs: Sequence[Any]
    bias: Array | None = None
    summand: Array | None = None

    @property
    def sides(self) -> list[int]:
        """Height and width of the result."""
        return [int(side) for side in self.op.outputs[0].shape[1:3]]

    def number(self, name: str) -> Any:
        """An attribute of the operator."""
        return self.op.get_attr(name)

    def pair(self, name: str) -> tuple[int, int]:
        """The two entries for height and width of an attribute with four."""
        return self.number(name)[1], self.number(name)[2]

    @property
    def padding(self) -> str:
        """`same` or `valid`."""
        rule = self.number("padding").decode().lower()
        if rule not in ("same", "valid"):
            raise NoLayerError(f"with {rule} padding")
        return str(rule)


def _weighted(layer: Any, image: KerasTensor, weights: Sequence[Array | None]) -> KerasTensor:
    result = layer(image)
    layer.set_weights([each for each in weights if each is not None])
    return result


def _convolution(keras: Keras, step: Step) -> KerasTensor:
    image, kernel = step.inputs
    layer = keras.layers.Conv2D(
        kernel.shape[3],
        kernel.shape[:2],
        strides=step.pair("strides"),
        padding=step.padding,
        dilation_rate=step.pair("dilations"),
        groups=image.shape[3] // kernel.shape[2],
        use_bias=step.bias is not None,
        name=step.name,
        **_LAST,
    )
    return _weighted(layer, image, [kernel, step.bias])


def _depthwise(keras: Keras, step: Step) -> KerasTensor:
    image, kernel = step.inputs
    layer = keras.layers.DepthwiseConv2D(
        kernel.shape[:2],
        strides=step.pair("strides"),
        padding=step.padding,
        depth_multiplier=kernel.shape[3],
        dilation_rate=step.pair("dilations"),
        use_bias=step.bias is not None,
        name=step.name,
        **_LAST,
    )
    return _weighted(layer, image, [kernel, step.bias])


def _transposed(keras: Keras, step: Step) -> KerasTensor:
    _, kernel, image = step.inputs
    layer = keras.layers.Conv2DTranspose(
        kernel.shape[2],
        kernel.shape[:2],
        strides=step.pair("strides"),
        padding=step.padding,
        use_bias=step.bias is not None,
        name=step.name,
        **_LAST,
    )
    return _weighted(layer, image, [kernel, step.bias])


def _dense(keras: Keras, step: Step) -> KerasTensor:
    rows, matrix = step.inputs
    if isinstance(rows, np.ndarray) or not isinstance(matrix, np.ndarray) or matrix.ndim != 2:
        raise NoLayerError("of two values that depend on the image")
    flipped = [name for name in ("transpose_a", "adj_x") if name in step.op.node_def.attr and step.number(name)]
    if flipped:
        raise NoLayerError("of a transposed value")
    across = any(name in step.op.node_def.attr and step.number(name) for name in ("transpose_b", "adj_y"))
    matrix = matrix.T if across else matrix
    return _weighted(keras.layers.Dense(matrix.shape[1], use_bias=False, name=step.name), rows, [matrix])


def _affine(keras: Keras, image: KerasTensor, factor: Array | float, summand: Array | float, name: str) -> KerasTensor:
    """`factor * image + summand`, of one number each or one per channel.

    Numbers per channel are those of a batch norm with mean 0 and variance 1, which training leaves alone.
    """
    if np.size(factor) == 1 and np.size(summand) == 1:
        return keras.layers.Rescaling(np.float32(factor).item(), np.float32(summand).item(), name=name)(image)
    channels = image.shape[-1]
    pair = [np.broadcast_to(_per_channel(each, channels), (channels,)) for each in (factor, summand)]
    layer = keras.layers.BatchNormalization(epsilon=0.0, trainable=False, name=name)
    return _weighted(layer, image, [*pair, np.zeros(channels, np.float32), np.ones(channels, np.float32)])


def _per_channel(constant: Array | float, channels: int) -> Array:
    array = np.asarray(constant, np.float32)
    if array.size != 1 and array.shape[-1:] != (array.size,):
        raise NoLayerError(f"with a constant of shape {list(array.shape)}")
    if array.size not in (1, channels):
        raise NoLayerError(f"with {array.size} numbers for {channels} channels")
    return array.reshape(-1)


def _arithmetic(layer: str, affine: Callable[[Any, bool], tuple[Any, Any]]) -> Callable[[Keras, Step], KerasTensor]:
    """An operator on two tensors, or on one and a constant.

    Args:
        layer: of Keras, for two tensors.
        affine: factor and summand from the constant, and whether the constant comes first.
    """

    def build(keras: Keras, step: Step) -> KerasTensor:
        constant = [isinstance(each, np.ndarray) for each in step.inputs]
        if not any(constant):
            return getattr(keras.layers, layer)(name=step.name)(list(step.inputs))
        image = step.inputs[1] if constant[0] else step.inputs[0]
        factor, summand = affine(step.inputs[constant.index(True)], constant[0])
        return _affine(keras, image, factor, summand if step.summand is None else step.summand, step.name)

    return build


def _limit(layer: str) -> Callable[[Keras, Step], KerasTensor]:
    """The larger or smaller of two tensors."""

    def build(keras: Keras, step: Step) -> KerasTensor:
        if any(isinstance(each, np.ndarray) for each in step.inputs):
            raise NoLayerError("with a constant")
        return getattr(keras.layers, layer)(name=step.name)(list(step.inputs))

    return build


def _activation(name: str) -> Callable[[Keras, Step], KerasTensor]:
    return lambda keras, step: keras.layers.Activation(name, name=step.name)(step.inputs[0])


def _leaky_relu(keras: Keras, step: Step) -> KerasTensor:
    return keras.layers.LeakyReLU(negative_slope=step.number("alpha"), name=step.name)(step.inputs[0])


def _pooling(layer: str) -> Callable[[Keras, Step], KerasTensor]:
    def build(keras: Keras, step: Step) -> KerasTensor:
        sizes = {"pool_size": step.pair("ksize"), "strides": step.pair("strides"), "padding": step.padding}
        return getattr(keras.layers, layer)(**sizes, name=step.name, **_LAST)(step.inputs[0])

    return build


def _reduction(kind: str) -> Callable[[Keras, Step], KerasTensor]:
    """The mean or the largest value over the image, or over the channels."""

    def build(keras: Keras, step: Step) -> KerasTensor:
        image, axes = step.inputs[0], tuple(np.atleast_1d(step.inputs[1]).tolist())
        kept = bool(step.number("keep_dims"))
        if len(image.shape) == 4 and axes == _IMAGE:
            return getattr(keras.layers, f"Global{kind}Pooling2D")(keepdims=kept, name=step.name, **_LAST)(image)
        if len(image.shape) != 4 or axes not in ((3,), (-1,)) or not kept:
            raise NoLayerError(f"over the axes {list(axes)}")
        _, height, width, channels = image.shape
        rows = keras.layers.Permute((3, 1, 2), name=f"{step.name}__channels_first")(image)
        rows = keras.layers.Reshape((channels, height * width), name=f"{step.name}__rows")(rows)
        pooled = getattr(keras.layers, f"Global{kind}Pooling1D")(name=f"{step.name}__pooled", **_LAST)(rows)
        return keras.layers.Reshape((height, width, 1), name=step.name)(pooled)

    return build


def _bilinear(keras: Keras, step: Step) -> KerasTensor:
    if step.number("align_corners") or not step.number("half_pixel_centers"):
        raise NoLayerError("with aligned corners")
    image, (height, width) = step.inputs[0], step.sides
    rule: dict[str, Any] = {"interpolation": "bilinear", "name": step.name, **_LAST}
    if height % image.shape[1] == 0 and width % image.shape[2] == 0:
        return keras.layers.UpSampling2D((height // image.shape[1], width // image.shape[2]), **rule)(image)
    return keras.layers.Resizing(height, width, **rule)(image)


def _concatenation(keras: Keras, step: Step) -> KerasTensor:
    *parts, axis = step.inputs
    if any(isinstance(each, np.ndarray) for each in parts):
        raise NoLayerError("with a constant")
    return keras.layers.Concatenate(axis=int(axis), name=step.name)(parts)


def _pad(keras: Keras, step: Step) -> KerasTensor:
    image, widths, *fill = step.inputs
    if np.shape(widths) != (4, 2) or np.any(widths[0]) or np.any(widths[3]) or any(np.any(each) for each in fill):
        raise NoLayerError("of other axes than height and width, or with other numbers than 0")
    sides = tuple((int(before), int(after)) for before, after in widths[1:3])
    return keras.layers.ZeroPadding2D(sides, name=step.name, **_LAST)(image)


def _slice(keras: Keras, step: Step) -> KerasTensor:
    image, begin, size = step.inputs
    shape = [int(side) for side in step.op.inputs[0].shape]
    after = [0 if count < 0 else side - first - count for side, first, count in zip(shape, begin, size, strict=True)]
    if len(shape) != 4 or begin[0] or after[0] or begin[3] or after[3]:
        raise NoLayerError("of other axes than height and width")
    sides = tuple((int(begin[axis]), int(after[axis])) for axis in _IMAGE)
    return keras.layers.Cropping2D(sides, name=step.name, **_LAST)(image)


def _reshape(keras: Keras, step: Step) -> KerasTensor:
    before, after = ([int(side) for side in each.shape] for each in (step.op.inputs[0], step.op.outputs[0]))
    if before[:1] != after[:1]:
        raise NoLayerError("across the batch")
    return keras.layers.Reshape(after[1:], name=step.name)(step.inputs[0])


def _transpose(keras: Keras, step: Step) -> KerasTensor:
    axes = [int(axis) for axis in step.inputs[1]]
    if axes[0] != 0:
        raise NoLayerError("across the batch")
    return keras.layers.Permute(axes[1:], name=step.name)(step.inputs[0])


_ADD = _arithmetic("Add", lambda constant, _: (1.0, constant))
_MULTIPLY = _arithmetic("Multiply", lambda constant, _: (constant, 0.0))
_SUBTRACT = _arithmetic("Subtract", lambda constant, first: (-1.0, constant) if first else (1.0, -constant))

LAYERS: Mapping[str, Callable[[Keras, Step], KerasTensor]] = {
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _depthwise,
    "Conv2DBackpropInput": _transposed,
    "MatMul": _dense,
    "BatchMatMulV2": _dense,
    "Add": _ADD,
    "AddV2": _ADD,
    "BiasAdd": _ADD,
    "Mul": _MULTIPLY,
    "Sub": _SUBTRACT,
    "Neg": lambda keras, step: _affine(keras, step.inputs[0], -1.0, 0.0, step.name),
    "Square": lambda keras, step: keras.layers.Multiply(name=step.name)([step.inputs[0]] * 2),
    "Maximum": _limit("Maximum"),
    "Minimum": _limit("Minimum"),
    **{
        name: _activation(name.lower())
        for name in ("Relu", "Relu6", "Elu", "Selu", "Softplus", "Sigmoid", "Tanh", "Softmax")
    },
    "Exp": _activation("exponential"),
    "LeakyRelu": _leaky_relu,
    "MaxPool": _pooling("MaxPooling2D"),
    "AvgPool": _pooling("AveragePooling2D"),
    "Mean": _reduction("Average"),
    "Max": _reduction("Max"),
    "ResizeBilinear": _bilinear,
    "ConcatV2": _concatenation,
    "Pad": _pad,
    "PadV2": _pad,
    "Slice": _slice,
    "Reshape": _reshape,
    "Transpose": _transpose,
}
