"""Chooses the quantization steps of the weights in int8 ONNX files, see `tf_bridge.weight_steps`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.weight_steps import IMAGES, Values, Windows, best_steps, chosen_or_larger, counted, in_half, rounded

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto
    from onnxruntime import InferenceSession

_CODES = "_quantized"  # what the quantizer puts behind the name of a weight
Steps = Mapping[str, Values]
"""By name of the weights in the float32 model: the step of each output channel, `(C_out,)`; 0 without weights."""


def measure_steps(model: ModelProto, images: Values) -> Steps:
    """Chooses the steps for all convolutions of images whose weights no other layer shares.

    Args:
        model: float32; not modified.
        images: for calibration, float32 `(B, C, H, W)`; the first 16 are run one by one.
    """
    from onnx import numpy_helper

    weights = _own_weights(model)
    convolutions = [node for node in model.graph.node if node.op_type == "Conv" and node.input[1] in weights]
    source, random = model.graph.input[0].name, np.random.default_rng(0)
    names = list(dict.fromkeys(node.input[0] for node in convolutions if node.input[0] != source))
    session = _session(model, names)
    patches: dict[str, list[Values]] = {node.input[1]: [] for node in convolutions}
    for image in images[:IMAGES]:
        values = {source: image[None]}
        if names:  # without, all outputs would come
            values |= zip(names, session.run(names, {source: image[None]}), strict=True)
        for node in convolutions:
            windows = _windows(node, weights[node.input[1]])
            patches[node.input[1]].append(windows.patches(values[node.input[0]][0], random))
    return {
        name: best_steps(numpy_helper.to_array(weights[name]), np.concatenate(each, axis=2))
        for name, each in patches.items()
    }


def _session(model: ModelProto, names: Sequence[str]) -> InferenceSession:
    """Runs a copy of a model that also returns these values."""
    import onnxruntime
    from onnx import helper

    tapped = type(model)()
    tapped.CopyFrom(model)
    known = {each.name for each in tapped.graph.output}
    tapped.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names if name not in known)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(tapped.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _own_weights(model: ModelProto) -> dict[str, TensorProto]:
    """The constants `(C_out, C_in / groups, height, width)` that one node alone reads, by name."""
    readers = Counter(name for node in model.graph.node for name in node.input)
    return {each.name: each for each in model.graph.initializer if len(each.dims) == 4 and readers[each.name] == 1}


def _windows(node: NodeProto, weights: TensorProto) -> Windows:
    from onnx import helper

    given = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    top, left, bottom, right = given.get("pads", (0, 0, 0, 0))
    return Windows(
        kernel=(weights.dims[2], weights.dims[3]),
        strides=tuple(given.get("strides", (1, 1))),
        dilations=tuple(given.get("dilations", (1, 1))),
        padding=((top, bottom), (left, right)),
        groups=given.get("group", 1),
    )


def set_steps(quantized: ModelProto, model: ModelProto, steps: Steps) -> ModelProto:
    """Gives weights and biases of a quantized model the chosen steps.

    Args:
        quantized: QDQ model with one step per output channel of the weights; modified. Layers in float stay.
        model: the same network in float32.
        steps: from `measure_steps`.

    Returns:
        `quantized`.
    """
    from onnx import numpy_helper

    stored = {each.name: each for each in quantized.graph.initializer}
    makers = {node.output[0]: node for node in quantized.graph.node if node.op_type == "DequantizeLinear"}
    exact = {each.name: each for each in model.graph.initializer}
    for node in quantized.graph.node:
        if node.op_type != "Conv" or not makers.keys() >= set(node.input):
            continue
        image, *constants = (makers[name] for name in node.input)
        name = constants[0].input[0].removesuffix(_CODES)
        if name in steps and image.input[1] in stored:
            values = [numpy_helper.to_array(exact[each]) for each in (name, *node.input[2:])]
            _set(values, steps[name], float(numpy_helper.to_array(stored[image.input[1]])), constants, stored)
    return quantized


def _set(
    exact: Sequence[Values],
    chosen: Values,
    image_step: float,
    dequantized: Sequence[NodeProto],
    stored: Mapping[str, TensorProto],
) -> None:
    """Replaces codes and steps of one layer.

    Args:
        exact: its weights, and its bias if it has one.
        chosen: its steps; 0 for channels without weights, which keep about the step that holds their bias.
        image_step: of what it reads.
        dequantized: the operators that give it weights and bias.
        stored: the constants of the file, by name; modified.
    """
    from onnx import numpy_helper

    usual = numpy_helper.to_array(stored[dequantized[0].input[1]])
    larger = chosen_or_larger(chosen, usual, exact[1] if len(exact) > 1 else None, image_step)
    steps = np.where(chosen > 0, larger, in_half(usual))
    codes = rounded(exact[0], steps.reshape(-1, 1, 1, 1))
    _replace(stored, dequantized[0], codes, steps)
    if len(exact) > 1:
        bias_steps = np.float32(image_step) * steps
        _replace(stored, dequantized[1], counted(exact[1], bias_steps), bias_steps)


def _replace(stored: Mapping[str, TensorProto], node: NodeProto, *values: NDArray[Any]) -> None:
    """Replaces the codes and steps that a DequantizeLinear reads."""
    from onnx import numpy_helper

    for name, each in zip(node.input, values, strict=False):
        stored[name].CopyFrom(numpy_helper.from_array(each, name))
