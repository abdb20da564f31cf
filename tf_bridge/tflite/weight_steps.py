"""Chooses the quantization steps of the weights in int8 TFLite files, see `tf_bridge.weight_steps`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.tflite.ranges import float_interpreter
from tf_bridge.weight_steps import IMAGES, Values, Windows, best_steps, chosen_or_larger, counted, rounded
from torchseg.modelfile.tflite import TfliteModel

Steps = Mapping[bytes, Values]
"""By name of the weights: the step of each output channel, `(C_out,)`; 0 for channels without weights."""

_CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}  # of the weights


def measure_steps(calibrated: bytes, images: Values) -> Steps:
    """Chooses the steps for all convolutions whose weights no other operation shares.

    Args:
        calibrated: bytes of a float32 `.tflite` file.
        images: for calibration, float32 `(B, C, H, W)`; the first 16 are run one by one.
    """
    file = TfliteModel(calibrated)
    layers = _layers(file)
    interpreter = float_interpreter(calibrated)
    images, random = images[:IMAGES], np.random.default_rng(0)
    patches: dict[bytes, list[Values]] = {name: [] for name in layers}
    for image in images:
        interpreter.set_tensor(file.graph.inputs[0], np.ascontiguousarray(image.transpose(1, 2, 0)[None]))
        interpreter.invoke()
        for name, operation in layers.items():
            read = interpreter.get_tensor(operation.inputs[0])[0].transpose(2, 0, 1)
            windows = _windows(file, operation, read.shape)
            patches[name].append(windows.patches(read, random))
    return {
        name: best_steps(_outputs_first(file, operation), np.concatenate(patches[name], axis=2))
        for name, operation in layers.items()
    }


def set_steps(quantized: bytes, calibrated: bytes, steps: Steps) -> bytes:
    """Gives the weights and biases of a quantized file the chosen steps; layers in float stay as they are.

    Args:
        quantized: bytes of the file from TensorFlow's quantizer.
        calibrated: bytes of the float32 file that it was made from.
        steps: from `measure_steps`.
    """
    file, source = TfliteModel(quantized), TfliteModel(calibrated)
    originals = _layers(source)
    for name, operation in _layers(file).items():
        if name in steps and name in originals:
            exact = [_constant(source, index) for index in originals[name].inputs[1:] if index >= 0]
            _set(file, operation, exact, steps[name])
    return file.content()


def _layers(file: TfliteModel) -> dict[bytes, Any]:
    """The convolutions of which no other operation shares the constants, by name of the weights."""
    readers = Counter(int(index) for each in file.graph.operators for index in each.inputs)
    stored = Counter(each.buffer for each in file.graph.tensors)
    found = {}
    for operation in file.graph.operators:
        constants = [int(index) for index in operation.inputs[1:] if index >= 0]
        tensors = [file.graph.tensors[index] for index in constants]
        own = all(readers[index] == 1 for index in constants) and all(stored[each.buffer] == 1 for each in tensors)
        if file.kind(operation) in _CHANNEL_AXIS and own and all(file.data(each) is not None for each in tensors):
            found[tensors[0].name] = operation
    return found


def _set(file: TfliteModel, operation: Any, exact: Sequence[Values], chosen: Values) -> None:
    """Replaces codes and steps of one layer.

    Args:
        file: with one step per output channel; changed.
        operation: of the file.
        exact: the layer's weights, and its bias if it has one, in float32.
        chosen: its steps; 0 for channels without weights, which keep theirs.
    """
    image, weights, *bias = (file.graph.tensors[index] for index in operation.inputs if index >= 0)
    if file.type_of(weights) != "int8" or len(weights.quantization.scale) != len(chosen):
        return
    biases, image_step = (exact[1] if bias else None), float(image.quantization.scale[0])
    steps = chosen_or_larger(chosen, weights.quantization.scale, biases, image_step)
    along = np.moveaxis(steps.reshape(-1, 1, 1, 1), 0, _CHANNEL_AXIS[file.kind(operation)])
    _store(file, weights, rounded(exact[0], along), steps)
    for tensor, values in zip(bias, exact[1:], strict=True):
        bias_steps = image.quantization.scale * steps
        _store(file, tensor, counted(values, bias_steps), bias_steps)


def _store(file: TfliteModel, tensor: Any, codes: NDArray[np.integer[Any]], steps: Values) -> None:
    file.tables.buffers[tensor.buffer].data = np.frombuffer(codes.tobytes(), np.uint8)
    tensor.quantization.scale = steps


def _constant(file: TfliteModel, index: int) -> Values:
    tensor = file.graph.tensors[index]
    data = file.data(tensor)
    assert data is not None
    return np.frombuffer(bytes(data), np.float32).reshape(tensor.shape)


def _outputs_first(file: TfliteModel, operation: Any) -> Values:
    """The weights as `(C_out, C_in / groups, height, width)`."""
    weights = _constant(file, operation.inputs[1])
    axis = _CHANNEL_AXIS[file.kind(operation)]
    return weights.transpose(axis, 3 - axis, 1, 2)


def _windows(file: TfliteModel, operation: Any, shape: tuple[int, ...]) -> Windows:
    """Of an image of this shape, `(C, H, W)`."""
    weights, options = file.graph.tensors[operation.inputs[1]], operation.builtinOptions
    kernel = (int(weights.shape[1]), int(weights.shape[2]))
    strides, dilations = (options.strideH, options.strideW), (options.dilationHFactor, options.dilationWFactor)
    same = options.padding == file.schema.Padding.SAME
    around = [
        max((-(-size // stride) - 1) * stride + (side - 1) * dilation + 1 - size, 0) if same else 0
        for size, side, stride, dilation in zip(shape[1:], kernel, strides, dilations, strict=True)
    ]
    top, left = (each // 2 for each in around)
    return Windows(
        kernel=kernel,
        strides=strides,
        dilations=dilations,
        padding=((top, around[0] - top), (left, around[1] - left)),
        groups=shape[0] // (1 if file.kind(operation) == "DEPTHWISE_CONV_2D" else int(weights.shape[3])),
    )
