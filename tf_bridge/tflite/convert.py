"""Converts a traced network to TFLite at each precision, with TensorFlow's converter."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.lowering.lower import Lowered, UnsupportedOperatorError
from tf_bridge.lowering.values import Tensor, TensorFlow
from tf_bridge.quiet import quiet
from torchseg.modelfile.precision import Precision
from torchseg.modelfile.tflite import TfliteModel

Images = NDArray[np.float32]

# Index of the weights among the inputs of an operation.
_WEIGHTED = {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "TRANSPOSE_CONV": 1, "FULLY_CONNECTED": 1}
_IMAGE = {"TRANSPOSE_CONV": 2}  # index of the image, if not 0
_SUMS = ("ADD", "SUB")
# XNNPACK refuses a file in which the quantization step of a result is 256 times finer than that of the values it sums
# up; 128 leaves a margin. This loses nothing: a result so small against its summands is their rounding error.
_FINEST = 1 / 128


@dataclass(frozen=True)
class TracedFunction:
    """A network as one TensorFlow function, from which every conversion starts."""

    tf: TensorFlow
    module: Any  # owns the function; must outlive its conversions
    function: Any  # concrete function: `image` `(1, H, W, C)` to a dictionary of outputs


def trace_lowered(tf: TensorFlow, lowered: Lowered, shape: tuple[int, int, int, int]) -> TracedFunction:
    """Traces a lowered network for images of this shape, `(1, H, W, C)`.

    Its outputs are named `logits`, `output1`, `output2`, ...

    Raises:
        UnsupportedOperatorError: for a use of an operator that cannot be exported.
    """

    def network(image: Tensor) -> dict[str, Tensor]:
        outputs = lowered(image)
        return {"logits": outputs[0], **{f"output{index}": value for index, value in enumerate(outputs[1:], start=1)}}

    image = tf.TensorSpec(shape, tf.float32, name="image")
    module = tf.Module()
    with quiet():
        module.network = tf.function(network, input_signature=[image], autograph=False)
        return TracedFunction(tf, module, module.network.get_concrete_function())


def convert_tflite(
    traced: TracedFunction, *, precision: Precision = Precision.FP32, images: Images | None = None
) -> bytes:
    """Converts a traced network to a `.tflite` file.

    Args:
        traced: from `trace_lowered`; may be converted any number of times.
        precision: of the file.
        images: for int8, float32 `(B, C, H, W)`; run one by one to measure ranges.

    Returns:
        Bytes of a `.tflite` file whose signature maps `image` to `logits`.

    Raises:
        UnsupportedOperatorError: if the network uses an operator that TFLite does not have or cannot quantize.
    """
    if precision is not Precision.INT8:
        return _convert(traced, _SETTINGS[precision](traced.tf))
    assert images is not None
    int8 = traced.tf.int8
    return quantized_tflite(calibrated_tflite(traced, images), input_data_type=int8, output_data_type=int8)


def quantized_tflite(calibrated: bytes, **options: Any) -> bytes:
    """Quantizes a file from `calibrated_tflite` with TensorFlow's quantizer, which takes the options.

    Raises:
        UnsupportedOperatorError: if it cannot.
    """
    from tensorflow.lite.python.convert import mlir_quantize

    with quiet():
        try:
            return bytes(mlir_quantize(calibrated, **options))
        except RuntimeError as error:  # often without a text
            reason = " ".join(str(error).split()) or "it gives no reason"
            raise UnsupportedOperatorError(
                f"TFLite's quantizer fails on this network ({reason}); export fp32, fp16 or dynamic, or int8 to ONNX"
            ) from error


def calibrated_tflite(traced: TracedFunction, images: Images) -> bytes:
    """Bytes of the float32 file with the measured range of every tensor, ready to be quantized.

    The converter stops before it quantizes, so that `widen_flat_ranges` can correct degenerate ranges first.

    Args:
        traced: from `trace_lowered`.
        images: for calibration, float32 `(B, C, H, W)`.
    """
    return widen_flat_ranges(_convert(traced, _calibration(traced.tf, images)))


def _convert(traced: TracedFunction, settings: dict[str, Any]) -> bytes:
    from tensorflow.lite.python.convert_phase import ConverterError

    with quiet():
        converter = traced.tf.lite.TFLiteConverter.from_concrete_functions([traced.function], traced.module)
        for name, value in settings.items():
            owner, _, attribute = name.rpartition(".")
            setattr(getattr(converter, owner) if owner else converter, attribute, value)
        try:
            return bytes(converter.convert())
        except ConverterError as error:
            raise UnsupportedOperatorError(_complaint(str(error))) from error


def _complaint(message: str) -> str:
    """The operators that the converter names, or its first line; the graph that it prints after that is left out."""
    operators = sorted(set(re.findall(r"'tf\.(\w+)' op", message)))
    reason = f"it has no {', '.join(operators)}" if operators else message.strip().splitlines()[0][:200]
    return f"TensorFlow's converter refuses the lowered network ({reason}); replace the layer that uses it"


def _fp32(tf: TensorFlow) -> dict[str, Any]:
    return {}


def _fp16(tf: TensorFlow) -> dict[str, Any]:
    return {"optimizations": [tf.lite.Optimize.DEFAULT], "target_spec.supported_types": [tf.float16]}


def _dynamic(tf: TensorFlow) -> dict[str, Any]:
    return {"optimizations": [tf.lite.Optimize.DEFAULT]}


def _calibration(tf: TensorFlow, images: Images) -> dict[str, Any]:
    def representative() -> Iterator[list[Images]]:
        for image in images:
            yield [np.ascontiguousarray(image.transpose(1, 2, 0)[None])]  # (1, H, W, C)

    return {
        "optimizations": [tf.lite.Optimize.DEFAULT],
        "representative_dataset": representative,
        "target_spec.supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8],
        "_experimental_calibrate_only": True,
    }


_SETTINGS: dict[Precision, Callable[[TensorFlow], dict[str, Any]]] = {
    Precision.FP32: _fp32,
    Precision.FP16: _fp16,
    Precision.DYNAMIC: _dynamic,
}


def widen_flat_ranges(calibrated: bytes) -> bytes:
    """Widens degenerate ranges to the smallest range that an integer kernel can resolve for its inputs and weights.

    A ReLU that never fires, or a gate that never changes, has a range of zero. The quantizer then takes 2e-6, and no
    runtime with XNNPACK loads the file.

    Args:
        calibrated: bytes of a float32 `.tflite` file whose tensors hold the smallest and largest value seen.

    Returns:
        Bytes of the file with the same graph and weights.
    """
    file = TfliteModel(calibrated)
    graph = file.graph
    for operation in graph.operators:
        target = graph.tensors[operation.outputs[0]]
        sources = [graph.tensors[index] for index in operation.inputs]
        least = _FINEST * _reach(file, file.kind(operation), sources)
        if _measured(target) and _span(target) < least:
            target.quantization.max[0] = least + min(float(target.quantization.min[0]), 0.0)
    return file.content()


def _reach(file: TfliteModel, kind: str, sources: list[Any]) -> float:
    """Range of an output with the step of the values it sums up; 0 for operations that keep the step of their input."""
    if kind in _WEIGHTED:
        weights = file.data(sources[_WEIGHTED[kind]])
        largest = np.abs(np.frombuffer(bytes(weights), np.float32)).max() if weights is not None else 0.0
        return _span(sources[_IMAGE.get(kind, 0)]) * float(largest) / 127
    if kind == "MUL":
        return _span(sources[0]) * _span(sources[1]) / 255
    return max(_span(each) for each in sources[:2]) if kind in _SUMS else 0.0


def _measured(tensor: Any) -> bool:
    quantization = tensor.quantization
    return quantization is not None and quantization.min is not None and len(quantization.min) == 1


def _span(tensor: Any) -> float:
    """Width of the measured range, extended to contain zero; 0 for constants, which are not measured."""
    if not _measured(tensor):
        return 0.0
    return max(float(tensor.quantization.max[0]), 0.0) - min(float(tensor.quantization.min[0]), 0.0)
