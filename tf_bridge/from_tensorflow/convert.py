"""Converts a TensorFlow model to an ONNX file with the same inputs, outputs and metadata as exported files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.from_tensorflow.class_scores import LOGITS, SIGMOID, SOFTMAX, ClassScores
from tf_bridge.from_tensorflow.source import TFLITE, check_input, one_line, open_source, source_kind
from tf_bridge.lowering.lazy_tensorflow import import_tensorflow
from tf_bridge.lowering.lower import UnsupportedOperatorError
from tf_bridge.quiet import quiet
from torchseg.atomic_file import partial_file
from torchseg.modelfile.metadata import METADATA_PREFIX, metadata
from torchseg.modelfile.model_file import describe_file
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto


OPSET = 17  # tf2onnx supports operators up to opset 18
Images = NDArray[np.float32]
_QUANTIZED = ("int8", "uint8")

_ACTIVATIONS = {"Softmax": SOFTMAX, "Sigmoid": SIGMOID}
_KEEPS_MEANING = {
    "Transpose", "Identity", "Cast", "Reshape", "QuantizeLinear", "DequantizeLinear", "Squeeze", "Unsqueeze", "Resize",
}  # fmt: skip
_PREFIX = "network/"
# `image` and/or `answer` -> integer tensor as described by `describe_file`.
_Quantized = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class ImportedModel:
    """A TensorFlow model that was converted to an ONNX file.

    Attributes:
        kind: `keras`, `saved_model` or `tflite`.
        precision: of the ONNX file.
        scores: meaning of the model's outputs.
        predict: runs the original model: images `(B, C, H, W)` to one value per class, `(B, K, H, W)`. None for a
            `.tflite` file, which a TFLite runtime can run.
    """

    kind: str
    precision: Precision
    scores: ClassScores
    predict: Callable[[Images], Images] | None


def from_tensorflow(source: Path, path: Path, spec: ImageSpec, *, notes: Mapping[str, str]) -> ImportedModel:
    """Converts a Keras file, a SavedModel folder or a `.tflite` file to ONNX with tf2onnx.

    Args:
        source: the model.
        path: of the ONNX file.
        spec: size, normalisation and classes of the model's images; fixes dimensions that the model leaves open.
        notes: further metadata for the file.

    Raises:
        ValueError: if the model cannot be read, or if its input or output does not fit the spec.
        UnsupportedOperatorError: if an operator has no ONNX counterpart.
        ImportError: if TensorFlow or tf2onnx is not installed.
    """
    kind = source_kind(source)
    converted = _from_tflite(source, spec) if kind == TFLITE else _from_function(source, kind, spec)
    channels = _channels(source, converted.answer_shape, converted.layout, spec)
    scores = ClassScores(activation=final_activation(converted.model.graph), channels=channels)
    wrapped = wrap_graph(converted.model, spec, scores, quantized=converted.quantized, notes=notes)
    with partial_file(path) as partial:
        partial.write_bytes(wrapped.SerializeToString())
    run = converted.run
    return ImportedModel(
        kind=kind,
        precision=precision_of(wrapped.graph),
        scores=scores,
        predict=None if run is None else lambda images: scores.of(run(images)),
    )


@dataclass(frozen=True, kw_only=True)
class _Converted:
    model: ModelProto  # input and output NCHW
    layout: str  # of the original model
    answer_shape: Sequence[int | None]  # of the original model
    quantized: Mapping[str, Mapping[str, Any]]  # see `wrap_graph`
    run: Callable[[Images], Images] | None


def _from_function(source: Path, kind: str, spec: ImageSpec) -> _Converted:
    tf, converter = import_tensorflow(), _import_tf2onnx()
    opened = open_source(tf, source, kind, spec)
    shape = (spec.height, spec.width, spec.channels)
    shape = shape if opened.layout == "NHWC" else (spec.channels, spec.height, spec.width)
    signature = [tf.TensorSpec((1, *shape), tf.float32, name="image")]
    try:
        with quiet():
            function = tf.function(opened.call, input_signature=signature, autograph=False)
            answer = function.get_concrete_function().outputs[0]
            names = ([f"{signature[0].name}:0"], [answer.name]) if opened.layout == "NHWC" else (None, None)
            model, _ = converter.from_function(
                function, signature, opset=OPSET, inputs_as_nchw=names[0], outputs_as_nchw=names[1]
            )
    except Exception as error:  # TensorFlow and tf2onnx raise exceptions of many classes
        raise UnsupportedOperatorError(f"{source} cannot be converted to ONNX: {one_line(error)}") from error

    def run(images: Images) -> Images:
        axes = (0, 2, 3, 1) if opened.layout == "NHWC" else (0, 1, 2, 3)
        back = (0, 3, 1, 2) if opened.layout == "NHWC" else (0, 1, 2, 3)
        answers = [np.asarray(function(image[None].transpose(axes))) for image in images]
        return np.ascontiguousarray(np.concatenate(answers).transpose(back))

    return _Converted(model=model, layout=opened.layout, answer_shape=tuple(answer.shape or ()), quantized={}, run=run)


def _from_tflite(source: Path, spec: ImageSpec) -> _Converted:
    described = describe_file(source)
    image, answer = described["inputs"][0], described["outputs"][0]
    if len(described["inputs"]) != 1 or len(image["shape"]) != 4:
        raise ValueError(f"{source} takes {[each['shape'] for each in described['inputs']]}; expected one (1, H, W, C)")
    if image["shape"][1:3] == [1, 1]:
        raise ValueError(f"{source} leaves the size of its images open; convert it again with a fixed size")
    layout = check_input(source, image["shape"], spec)
    for tensor in (image, answer):
        if tensor["type"] not in ("float32", *_QUANTIZED):
            raise ValueError(
                f"{source} has a {tensor['type']} tensor '{tensor['name']}'; expected float32, int8 or uint8"
            )
    names = ([image["name"]], [answer["name"]]) if layout == "NHWC" else (None, None)
    try:
        with quiet():
            model, _ = _import_tf2onnx().from_tflite(
                str(source), opset=OPSET, inputs_as_nchw=names[0], outputs_as_nchw=names[1]
            )
    except Exception as error:  # tf2onnx raises exceptions of many classes
        raise UnsupportedOperatorError(f"{source} cannot be converted to ONNX: {one_line(error)}") from error
    tensors = {"image": image, "answer": answer}
    quantized = {name: tensor for name, tensor in tensors.items() if tensor["type"] in _QUANTIZED}
    return _Converted(model=model, layout=layout, answer_shape=answer["shape"], quantized=quantized, run=None)


def _channels(source: Path, shape: Sequence[int | None], layout: str, spec: ImageSpec) -> int:
    """Number of output channels; raises ValueError unless the output scores every class at every pixel."""
    size = (spec.height, spec.width)
    if len(shape) != 4 or tuple(shape[1:3] if layout == "NHWC" else shape[2:]) != size:
        raise ValueError(
            f"{source} gives {list(shape)} for {size[0]}x{size[1]} images; expected scores of the same size, "
            + ("(1, H, W, classes)" if layout == "NHWC" else "(1, classes, H, W)")
        )
    channels = shape[3] if layout == "NHWC" else shape[1]
    if channels is None or (channels != spec.num_classes and not (channels == 1 and spec.num_classes == 2)):
        raise ValueError(
            f"{source} has {channels} classes and the data has {spec.num_classes} "
            f"({', '.join(spec.classes)}); give the data set that it was trained for"
        )
    return channels


def _import_tf2onnx() -> Any:
    import_tensorflow()
    try:
        with quiet():
            from tf2onnx import convert
    except ModuleNotFoundError as error:
        raise ImportError("reading TensorFlow models needs tf2onnx: install torchseg-compress[tf]") from error
    return convert


def check_operators(model: ModelProto) -> None:
    """Raises UnsupportedOperatorError if tf2onnx left operators untranslated in the model."""
    import onnx

    unknown = sorted({node.op_type for node in model.graph.node if not onnx.defs.has(node.op_type, node.domain)})
    if unknown:
        raise UnsupportedOperatorError(
            f"tf2onnx has no ONNX counterpart for {', '.join(unknown)}; replace the layers that use them"
        )


def final_activation(graph: GraphProto) -> str:
    """The last activation before the graph's first output: `softmax`, `sigmoid`, or `logits` for none."""
    makers = {name: node for node in graph.node for name in node.output}
    name = graph.output[0].name
    while name in makers and makers[name].op_type in _KEEPS_MEANING:
        name = makers[name].input[0]
    return _ACTIVATIONS.get(makers[name].op_type, LOGITS) if name in makers else LOGITS


def precision_of(graph: GraphProto) -> Precision:
    """int8 if activations are quantized, dynamic if only weights are, else fp32."""
    kinds = {node.op_type for node in graph.node}
    if "QuantizeLinear" in kinds:
        return Precision.INT8
    return Precision.DYNAMIC if "DequantizeLinear" in kinds else Precision.FP32


def wrap_graph(
    model: ModelProto,
    spec: ImageSpec,
    scores: ClassScores,
    *,
    quantized: _Quantized,
    notes: Mapping[str, str],
) -> ModelProto:
    """Adapts a network so that it maps `image`, float32 `(1, C, H, W)`, to one value per class, `(1, K, H, W)`.

    Args:
        model: its only input and its first output are NCHW.
        spec: size, normalisation and classes of the network's images.
        scores: meaning of the network's outputs.
        quantized: input (`image`) and output (`answer`) of the network that are integers; a missing scale is 1.
        notes: further metadata for the file.

    Raises:
        UnsupportedOperatorError: if an operator has no ONNX counterpart.
    """
    import onnx
    from onnx import TensorProto, helper

    check_operators(model)
    wrapped = onnx.compose.add_prefix(model, _PREFIX)  # so that inner names cannot clash with the new ones
    graph = wrapped.graph
    source, target = graph.input[0].name, graph.output[0].name
    before, after = _edges(source, target, scores, quantized)
    nodes = [*before, *graph.node, *after]
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(_constants(scores, quantized))
    if not before:
        _rename(graph, source, "image")
    if not after:
        _rename(graph, target, scores.output_name)
    image = (1, spec.channels, spec.height, spec.width)
    answer = (1, scores.num_classes, spec.height, spec.width)
    graph.input.append(helper.make_tensor_value_info("image", TensorProto.FLOAT, image))
    graph.output.append(helper.make_tensor_value_info(scores.output_name, TensorProto.FLOAT, answer))
    entries = metadata(spec, layout="NCHW", precision=precision_of(graph))
    entries |= {f"{METADATA_PREFIX}output": scores.meaning}
    entries |= {f"{METADATA_PREFIX}{name}": text for name, text in notes.items()}
    helper.set_model_props(wrapped, entries)
    onnx.checker.check_model(wrapped)
    return wrapped


def _edges(
    source: str, target: str, scores: ClassScores, quantized: _Quantized
) -> tuple[list[NodeProto], list[NodeProto]]:
    """Operators before and after the network; the last one computes the named output."""
    from onnx import helper

    before, after = [], []
    if "image" in quantized:
        before.append(helper.make_node("QuantizeLinear", ["image", "image_scale", "image_zero"], [source]))
    if "answer" in quantized:
        after.append(("DequantizeLinear", ["answer_scale", "answer_zero"]))
    if scores.spread is not None:
        after += [("Mul", ["class_factor"]), ("Add", ["class_summand"])]
    names = [target, *(f"answer_{number}" for number in range(1, len(after))), scores.output_name]
    behind = [
        helper.make_node(kind, [names[at], *constants], [names[at + 1]]) for at, (kind, constants) in enumerate(after)
    ]
    return before, behind


def _constants(scores: ClassScores, quantized: _Quantized) -> list[Any]:
    from onnx import numpy_helper

    values: dict[str, Any] = {}
    for name, tensor in quantized.items():
        values[f"{name}_scale"] = np.float32(tensor.get("scale", 1.0))
        values[f"{name}_zero"] = np.dtype(tensor["type"]).type(tensor.get("zero_point", 0))
    if scores.spread is not None:
        values["class_factor"], values["class_summand"] = scores.spread
    return [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]


def _rename(graph: GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            for at, name in enumerate(names):
                if name == old:
                    names[at] = new
