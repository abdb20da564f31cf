"""Runs TensorFlow's converter at each precision."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.lowering import Lowered, UnsupportedOperatorError
from tf_bridge.precision import Precision
from tf_bridge.quantity import Tensor, TensorFlow
from tf_bridge.quiet import quiet

Images = NDArray[np.float32]


def convert_tflite(
    tf: TensorFlow,
    lowered: Lowered,
    shape: tuple[int, int, int, int],
    *,
    precision: Precision = Precision.FP32,
    images: Images | None = None,
) -> bytes:
    """Traces a lowered network and converts it.

    Args:
        tf: the TensorFlow module.
        lowered: from `lower_program`.
        shape: of its image, `(1, H, W, C)`.
        precision: of the file.
        images: for int8, float32 `(B, C, H, W)`, run one by one to measure ranges.

    Returns:
        Bytes of a `.tflite` file with signature `image` to `logits`; further outputs are `output1`, `output2`, ...

    Raises:
        UnsupportedOperatorError: for an operator, or a use of one, that cannot be expressed.
    """
    from tensorflow.lite.python.convert_phase import ConverterError

    def network(image: Tensor) -> dict[str, Tensor]:
        outputs = lowered(image)
        return {"logits": outputs[0], **{f"output{index}": value for index, value in enumerate(outputs[1:], start=1)}}

    image = tf.TensorSpec(shape, tf.float32, name="image")
    module = tf.Module()
    with quiet():
        module.network = tf.function(network, input_signature=[image], autograph=False)
        function = module.network.get_concrete_function()
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
        for name, value in _SETTINGS[precision](tf, images).items():
            owner, _, attribute = name.rpartition(".")
            setattr(getattr(converter, owner) if owner else converter, attribute, value)
        try:
            content: bytes = converter.convert()
        except ConverterError as error:
            raise UnsupportedOperatorError(_complaint(str(error))) from error
    return content


def _complaint(message: str) -> str:
    """The converter's first lines; the graph that it prints behind them helps nobody."""
    operators = sorted(set(re.findall(r"'tf\.(\w+)' op", message)))
    reason = f"it has no {', '.join(operators)}" if operators else message.strip().splitlines()[0][:200]
    return f"TensorFlow's converter refuses the lowered network ({reason}); replace the layer that uses it"


def _fp32(tf: TensorFlow, images: Images | None) -> dict[str, Any]:
    return {}


def _fp16(tf: TensorFlow, images: Images | None) -> dict[str, Any]:
    return {"optimizations": [tf.lite.Optimize.DEFAULT], "target_spec.supported_types": [tf.float16]}


def _dynamic(tf: TensorFlow, images: Images | None) -> dict[str, Any]:
    return {"optimizations": [tf.lite.Optimize.DEFAULT]}


def _int8(tf: TensorFlow, images: Images | None) -> dict[str, Any]:
    assert images is not None

    def representative() -> Iterator[list[Images]]:
        for image in images:
            yield [np.ascontiguousarray(image.transpose(1, 2, 0)[None])]  # (1, H, W, C)

    return {
        "optimizations": [tf.lite.Optimize.DEFAULT],
        "representative_dataset": representative,
        "target_spec.supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8],
        "inference_input_type": tf.int8,
        "inference_output_type": tf.int8,
    }


_SETTINGS: dict[Precision, Callable[[TensorFlow, Images | None], dict[str, Any]]] = {
    Precision.FP32: _fp32,
    Precision.FP16: _fp16,
    Precision.DYNAMIC: _dynamic,
    Precision.INT8: _int8,
}
