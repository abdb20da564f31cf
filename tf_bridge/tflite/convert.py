"""Converts a traced network to TFLite at each precision, with TensorFlow's converter."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.lowering.lower import Lowered, UnsupportedOperatorError
from tf_bridge.lowering.values import TensorFlow
from tf_bridge.quiet import quiet
from tf_bridge.tflite.flatbuffer import drop_idle_roundings
from tf_bridge.tflite.float_operations import float_operations
from tf_bridge.tflite.norms import join_norms
from tf_bridge.tflite.ranges import check_ranges, with_ranges
from tf_bridge.tflite.weight_steps import Steps, measure_steps, set_steps
from torchseg.modelfile.precision import Precision

Images = NDArray[np.float32]


@dataclass(frozen=True)
class TracedFunction:
    """A network as one TensorFlow function, from which every conversion starts."""

    tf: TensorFlow
    module: Any  # owns the function; must outlive its conversions
    function: Any  # concrete function: `image` `(1, H, W, C)` to a list of outputs


def trace_lowered(tf: TensorFlow, lowered: Lowered, shape: tuple[int, int, int, int]) -> TracedFunction:
    """Traces a lowered network for images of this shape, `(1, H, W, C)`.

    Raises:
        UnsupportedOperatorError: for a use of an operator that cannot be exported.
    """
    image = tf.TensorSpec(shape, tf.float32, name="image")
    module = tf.Module()
    with quiet():
        module.network = tf.function(lowered, input_signature=[image], autograph=False)
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
        Bytes of a `.tflite` file without a signature, which `label_tflite` adds.

    Raises:
        UnsupportedOperatorError: if the network uses an operator that TFLite does not have or cannot quantize.
        ValueError: if a layer gives values that are not finite on the images.
    """
    if precision is not Precision.INT8:
        return _convert(traced, _SETTINGS[precision](traced.tf))
    assert images is not None
    int8 = traced.tf.int8
    calibrated, kept = calibrated_tflite(traced, images)
    steps = measure_steps(calibrated, images)
    content = quantized_tflite(calibrated, steps, input_data_type=int8, output_data_type=int8, denylisted_nodes=kept)
    return drop_idle_roundings(content) if kept else content


def quantized_tflite(calibrated: bytes, steps: Steps, **options: Any) -> bytes:
    """Quantizes a file with TensorFlow's quantizer.

    Args:
        calibrated: from `calibrated_tflite`.
        steps: from `measure_steps`.
        options: of the quantizer.

    Raises:
        UnsupportedOperatorError: if it cannot.
    """
    from tensorflow.lite.python.convert import mlir_quantize

    with quiet():
        try:
            return set_steps(bytes(mlir_quantize(calibrated, **options)), calibrated, steps)
        except RuntimeError as error:  # often without a text
            reason = " ".join(str(error).split()) or "it gives no reason"
            raise UnsupportedOperatorError(
                f"TFLite's quantizer fails on this network ({reason}); export fp32, fp16 or dynamic, or int8 to ONNX"
            ) from error


def calibrated_tflite(traced: TracedFunction, images: Images) -> tuple[bytes, set[str]]:
    """Bytes of the float32 file with the measured range of every tensor, ready to be quantized.

    The converter stops before it quantizes; `with_ranges` then measures the ranges.

    Args:
        traced: from `trace_lowered`.
        images: for calibration, float32 `(B, C, H, W)`.

    Returns:
        The bytes, and the names of the results of the operations that should stay in float.

    Raises:
        ValueError: if a layer gives values that are not finite on the images.
    """
    unquantized = join_norms(_convert(traced, _calibration(traced.tf, images[:1])))
    calibrated, masked = with_ranges(unquantized, images)
    in_float = masked | float_operations(calibrated)
    check_ranges(calibrated, in_float)
    return calibrated, in_float


def _convert(traced: TracedFunction, settings: dict[str, Any]) -> bytes:
    from tensorflow.lite.python.convert_phase import ConverterError

    with quiet():
        converter = traced.tf.lite.TFLiteConverter.from_concrete_functions([traced.function], traced.module)
        # Through a SavedModel, the default, the same graph takes twice the memory and up to four times as long.
        converter.experimental_lower_to_saved_model = False
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
