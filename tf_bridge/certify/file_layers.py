"""What an exported file computes on the way from the image to the logits."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.certify.reference_layers import OUTPUT

if TYPE_CHECKING:
    from onnx import ModelProto

Values = dict[str, NDArray[np.float32]]
_QUANTIZED = "_DequantizeLinear_Output"  # ONNX Runtime's quantizer gives a tensor's rounded values this ending


def file_layers(path: Path, image: NDArray[Any]) -> Values:
    """Runs a file on one image and gives its intermediate values by tensor name.

    Args:
        path: `.onnx` or `.tflite`.
        image: `(1, C, H, W)`: prepared and float32, or a uint8 picture for a file that prepares it itself.

    Returns:
        Real values, dequantized where the file holds integers; of rank 4 `(B, C, H, W)`.

    Raises:
        ImportError: without the runtime.
    """
    return _onnx_layers(path, image) if path.suffix == ".onnx" else _tflite_layers(path, image)


def _onnx_layers(path: Path, image: NDArray[Any]) -> Values:
    """Every tensor of a copy of the graph is an output; a rounded tensor shows what the next layer really gets."""
    import onnx
    import onnxruntime

    model = onnx.load(path)
    wanted = _tap(model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0]
    fed = image.transpose(0, 2, 3, 1) if source.type == "tensor(uint8)" else image
    found = session.run(list(wanted), {source.name: np.ascontiguousarray(fed)})
    return {name: np.asarray(value, np.float32) for name, value in zip(wanted.values(), found, strict=True)}


def _tap(model: ModelProto) -> dict[str, str]:
    """Declares outputs in the graph; gives the tensor to read by the name that it stands for."""
    import onnx

    made = [name for node in model.graph.node for name in node.output]
    floats = {
        value.name
        for value in onnx.shape_inference.infer_shapes(model).graph.value_info
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    }
    declared = {value.name for value in model.graph.output}
    named = [name for name in made if "/" in name or name == OUTPUT]
    plain = [name for name in named if name in floats and not name.endswith(_QUANTIZED)]
    taps = {f"{name}{_QUANTIZED}" if f"{name}{_QUANTIZED}" in made else name: name for name in plain}
    for tensor in taps:
        if tensor not in declared:
            model.graph.output.append(onnx.helper.make_empty_tensor_value_info(tensor))
    return taps | {name: name for name in declared}


def _tflite_layers(path: Path, image: NDArray[Any]) -> Values:
    from ai_edge_litert.interpreter import Interpreter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that keeping all tensors costs memory
        interpreter = Interpreter(str(path), num_threads=1, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]
    interpreter.set_tensor(source["index"], _quantize(image.transpose(0, 2, 3, 1), source))
    interpreter.invoke()
    made = {int(index) for each in interpreter._get_ops_details() for index in each["outputs"]}
    return {
        each["name"]: _dequantize(interpreter.get_tensor(each["index"]), each)
        for each in interpreter.get_tensor_details()
        if each["index"] in made and each["name"]
    }


def _quantize(image: NDArray[Any], details: dict[str, Any]) -> NDArray[Any]:
    scale, zero_point = details["quantization"]
    number = details["dtype"]
    if image.dtype == number or not scale:
        return np.ascontiguousarray(image, number)
    limits = np.iinfo(number)
    return np.asarray(np.clip(np.round(image / scale) + zero_point, limits.min, limits.max), number)


def _dequantize(codes: NDArray[Any], details: dict[str, Any]) -> NDArray[np.float32]:
    scale, zero_point = details["quantization"]
    values = np.asarray(codes, np.float32)
    if scale and np.issubdtype(codes.dtype, np.integer):
        values = (values - zero_point) * np.float32(scale)
    return values.transpose(0, 3, 1, 2) if values.ndim == 4 else values
