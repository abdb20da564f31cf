"""Runs a model file with every layer's tensor exposed, and reads the integer grids of its quantized tensors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tf_bridge.lowering.lazy_tensorflow import import_tensorflow
from tf_bridge.packing.names import restore_names
from tf_bridge.quiet import quiet
from torchseg.modelfile.keras.file import is_whole, pytorch_name
from torchseg.modelfile.keras.layers import check_keras_file

if TYPE_CHECKING:
    from onnx import ModelProto

Values = dict[str, NDArray[np.float32]]
OUTPUT = "logits"  # name of the network's output in every exported file
_QUANTIZED = "_DequantizeLinear_Output"  # suffix that ONNX Runtime's quantizer gives to a tensor's dequantized values
# Names of the network's input behind the operations that normalise it or change its dtype, and of its output before
# them; of several in one file, the first counts.
_INSIDE = {"image.prepared": "image", "image/prepared": "image", "image/codes": "image", "logits/codes": OUTPUT}


@dataclass(frozen=True)
class Grid:
    """The numbers that a quantized tensor can hold: multiples of a step between two ends.

    Attributes:
        step: distance between neighbours.
        low: smallest number.
        high: largest number.
    """

    step: float
    low: float
    high: float


class FileLayers(Protocol):
    """A model file that can be run with the tensors of its layers exposed.

    Attributes:
        grids: of the quantized tensors, by the name of the layer's value.
    """

    grids: dict[str, Grid]

    def run(self, image: NDArray[Any]) -> Values:
        """Intermediate values by tensor name, as `file_layers` returns them."""
        ...


def open_layers(path: Path, graph: ModelProto | None = None) -> FileLayers:
    """Opens an `.onnx`, `.tflite` or `.keras` file with the tensors of its layers exposed.

    Args:
        path: of the file.
        graph: for a packed file, the network in float32: packing shortens the names of values, and these are restored.

    Raises:
        ImportError: if ONNX Runtime, LiteRT or TensorFlow, whichever the file needs, is not installed.
    """
    if path.suffix == ".onnx":
        return OnnxLayers(path, graph)
    return TfliteLayers(path) if path.suffix == ".tflite" else KerasLayers(path)


def file_layers(path: Path, image: NDArray[Any]) -> Values:
    """Runs a file on one image and returns its intermediate values by tensor name.

    Args:
        path: `.onnx`, `.tflite` or `.keras`.
        image: `(1, C, H, W)`, prepared and float32; uint8 as decoded for an end-to-end file.

    Returns:
        Float32 values, dequantized where the file holds integers; rank-4 values are `(B, C, H, W)`.

    Raises:
        ImportError: if ONNX Runtime, LiteRT or TensorFlow, whichever the file needs, is not installed.
    """
    return open_layers(path).run(image)


class OnnxLayers:
    """An ONNX file whose graph also outputs the layers' tensors, dequantized as the next layer gets them.

    Args:
        path: of the file.
        graph: for a packed file, see `open_layers`.
    """

    def __init__(self, path: Path, graph: ModelProto | None = None) -> None:
        import onnx
        import onnxruntime

        model = onnx.load(path)
        if graph is not None:
            restore_names(model, graph)
        self.grids = _onnx_grids(model)
        self._wanted = _tap(model)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def run(self, image: NDArray[Any]) -> Values:
        """Intermediate values by tensor name, see `file_layers`."""
        source = self._session.get_inputs()[0]
        fed = image.transpose(0, 2, 3, 1) if source.type == "tensor(uint8)" else image
        found = self._session.run(list(self._wanted), {source.name: np.ascontiguousarray(fed)})
        return {name: np.asarray(value, np.float32) for name, value in zip(self._wanted.values(), found, strict=True)}


def _onnx_grids(model: ModelProto) -> dict[str, Grid]:
    """The grid of every tensor that a DequantizeLinear reads, as that operator takes it."""
    from onnx import numpy_helper

    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    grids = {}
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear" or node.input[0] in stored or len(node.input) < 3:
            continue
        if node.input[1] not in stored or node.input[2] not in stored:
            continue
        scale, zero_point = (numpy_helper.to_array(stored[name]) for name in node.input[1:3])
        if scale.size == 1:
            name = node.output[0].removesuffix(_QUANTIZED)
            grids[_INSIDE.get(name, name)] = _grid(float(scale.item()), int(zero_point.item()), zero_point.dtype)
    return grids


def _grid(step: float, zero_point: int, dtype: Any) -> Grid:
    ends = np.iinfo(dtype)
    return Grid(step, step * (int(ends.min) - zero_point), step * (int(ends.max) - zero_point))


def _tap(model: ModelProto) -> dict[str, str]:
    """Declares the tensors of layers as outputs; returns tensor to read -> name that it stands for."""
    import onnx

    made = [name for node in model.graph.node for name in node.output]
    floats = {
        value.name
        for value in onnx.shape_inference.infer_shapes(model).graph.value_info
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    }
    declared = {value.name for value in model.graph.output}
    inner = {f"{name}{_QUANTIZED}": "image" for name in ("image", "image.prepared")}
    named = [name for name in made if "/" in name or name in (OUTPUT, "image.prepared")]
    plain = [name for name in named if name in floats and not name.endswith(_QUANTIZED)]
    taps = {f"{name}{_QUANTIZED}" if f"{name}{_QUANTIZED}" in made else name: name for name in plain}
    taps = {tensor: _INSIDE.get(name, name) for tensor, name in taps.items()}
    taps |= {tensor: name for tensor, name in inner.items() if tensor in made}
    for tensor in taps:
        if tensor not in declared:
            model.graph.output.append(onnx.helper.make_empty_tensor_value_info(tensor))
    return taps | {name: name for name in declared}


class TfliteLayers:
    """A TFLite file in an interpreter that keeps all tensors.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with quiet():  # hides the warning that keeping all tensors costs memory, and what is said about delegates
            self._interpreter = Interpreter(str(path), num_threads=1, experimental_preserve_all_tensors=True)
            self._interpreter.allocate_tensors()
        self._source = self._interpreter.get_input_details()[0]
        made = {int(index) for each in self._interpreter._get_ops_details() for index in each["outputs"]}
        made |= {int(self._source["index"])}
        details = [each for each in self._interpreter.get_tensor_details() if each["index"] in made and each["name"]]
        self._made = {each["name"]: each for each in details}
        for inner, name in reversed(_INSIDE.items()):
            if inner in self._made:
                self._made[name] = self._made[inner]
        self.grids = {
            name: _grid(each["quantization"][0], each["quantization"][1], each["dtype"])
            for name, each in self._made.items()
            if each["quantization"][0] and np.issubdtype(each["dtype"], np.integer)
        }

    def run(self, image: NDArray[Any]) -> Values:
        """Intermediate values by tensor name, see `file_layers`."""
        self._interpreter.set_tensor(self._source["index"], _quantize(image.transpose(0, 2, 3, 1), self._source))
        self._interpreter.invoke()
        return {
            name: _dequantize(self._interpreter.get_tensor(each["index"]), each) for name, each in self._made.items()
        }


class KerasLayers:
    """A Keras file whose model also returns the results of its layers.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        tf = import_tensorflow()
        check_keras_file(path)
        with quiet():
            model = tf.keras.models.load_model(path, compile=False, safe_mode=True)
        layers = {pytorch_name(each.name): each.output for each in model.layers if is_whole(each.name)}
        self._model = tf.keras.Model(model.inputs[0], layers)
        self.grids: dict[str, Grid] = {}

    def run(self, image: NDArray[Any]) -> Values:
        """Intermediate values by tensor name, see `file_layers`."""
        found = self._model(image.transpose(0, 2, 3, 1), training=False)
        # Copied, because TensorFlow's own arrays cannot be changed.
        values = {name: np.array(value, np.float32) for name, value in found.items()}
        return {name: value.transpose(0, 3, 1, 2) if value.ndim == 4 else value for name, value in values.items()}


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
