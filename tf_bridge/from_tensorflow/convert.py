"""Turns a TensorFlow model into an ONNX file with the inputs, outputs and metadata of the project's own files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.from_tensorflow.class_scores import ClassScores
from tf_bridge.from_tensorflow.foreign_graph import final_activation, precision_of, wrap_graph
from tf_bridge.from_tensorflow.source import TFLITE, check_input, one_line, open_source, source_kind
from tf_bridge.lowering.lazy_tensorflow import import_tensorflow
from tf_bridge.lowering.lower import UnsupportedOperatorError
from tf_bridge.quiet import quiet
from torchseg.modelfile.describe import describe_file
from torchseg.modelfile.precision import Precision
from torchseg.partial_file import partial_file
from torchseg.spec import ImageSpec

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 17  # tf2onnx writes no newer operators than those of 18
Images = NDArray[np.float32]
_QUANTIZED = ("int8", "uint8")


@dataclass(frozen=True, kw_only=True)
class ImportedModel:
    """A TensorFlow model that became an ONNX file.

    Attributes:
        kind: `keras`, `saved_model` or `tflite`.
        precision: of the ONNX file.
        scores: what the model puts out.
        predict: the original's own answer, images `(B, C, H, W)` to `(B, K, H, W)`; None for a `.tflite` file, which
            a runtime for such files answers for.
    """

    kind: str
    precision: Precision
    scores: ClassScores
    predict: Callable[[Images], Images] | None


def from_tensorflow(source: Path, path: Path, spec: ImageSpec, *, notes: Mapping[str, str]) -> ImportedModel:
    """Converts a Keras file, a SavedModel folder or a `.tflite` file with tf2onnx.

    Args:
        source: the model.
        path: of the ONNX file.
        spec: size, scaling and classes of the pictures that the model takes; a side that it leaves open is fixed.
        notes: further metadata for the file.

    Raises:
        ValueError: if the model cannot be read, or takes or gives something else than the spec says.
        UnsupportedOperatorError: if an operator has no ONNX counterpart.
        ImportError: without TensorFlow and tf2onnx.
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
    model: ModelProto  # NCHW in and out
    layout: str  # of the original
    answer_shape: Sequence[int | None]  # of the original
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
    except Exception as error:  # TensorFlow and tf2onnx raise nearly every class there is
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
        raise ValueError(f"{source} leaves the size of its pictures open; convert it again with a fixed size")
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
    except Exception as error:  # tf2onnx raises nearly every class there is
        raise UnsupportedOperatorError(f"{source} cannot be converted to ONNX: {one_line(error)}") from error
    tensors = {"image": image, "answer": answer}
    quantized = {name: tensor for name, tensor in tensors.items() if tensor["type"] in _QUANTIZED}
    return _Converted(model=model, layout=layout, answer_shape=answer["shape"], quantized=quantized, run=None)


def _channels(source: Path, shape: Sequence[int | None], layout: str, spec: ImageSpec) -> int:
    """Of an answer; raises ValueError unless it scores every class at every pixel."""
    size = (spec.height, spec.width)
    if len(shape) != 4 or tuple(shape[1:3] if layout == "NHWC" else shape[2:]) != size:
        raise ValueError(
            f"{source} gives {list(shape)} for {size[0]}x{size[1]} pictures; expected scores of the same size, "
            + ("(1, H, W, classes)" if layout == "NHWC" else "(1, classes, H, W)")
        )
    channels = shape[3] if layout == "NHWC" else shape[1]
    if channels is None or (channels != spec.num_classes and not (channels == 1 and spec.num_classes == 2)):
        raise ValueError(
            f"{source} tells {channels} classes apart and the data has {spec.num_classes} "
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
