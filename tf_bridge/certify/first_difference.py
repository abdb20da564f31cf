"""Finds the first divergent layer: the first whose output in an exported file differs from the PyTorch network."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.layer_names import layer_names
from torchseg.modelfile.precision import Precision

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch.export import ExportedProgram
    from torch.fx import Node


# Allowed error as a share of a layer's range: the largest error for floats, the root mean square error for integers.
TOLERANCES: Mapping[Precision, float] = {
    Precision.FP32: 1e-3,
    Precision.FP16: 1e-2,
    Precision.DYNAMIC: 2e-2,
    Precision.INT8: 2e-2,
}
_ROUNDED = (Precision.DYNAMIC, Precision.INT8)
_JUMP = 2.0  # rounding errors grow slowly; a layer is suspect if its error is more than twice that of its inputs
_DEAD = 1e-4  # share of the widest layer's range; a layer with a narrower range counts as constant

Values = dict[str, NDArray[np.float32]]
_QUANTIZED = "_DequantizeLinear_Output"  # suffix that ONNX Runtime's quantizer gives to a tensor's dequantized values

OUTPUT = "logits"  # name of the network's output in every exported file


@dataclass(frozen=True, kw_only=True)
class FirstDifference:
    """The first divergent layer of a file."""

    layer: str  # path of the PyTorch layer, e.g. `decode.2.0`
    operator: str  # inside that layer
    also: tuple[str, ...]  # layers fused into the same operation of the file, which may be the cause instead
    error: float  # share of the layer's range
    tolerance: float  # share of the layer's range

    def __str__(self) -> str:
        also = f" (or {', '.join(self.also)}, which the file computes in the same step)" if self.also else ""
        return (
            f"first differs at layer `{self.layer}`{also}, operator {self.operator}: "
            f"error {self.error:.3g} of the layer's range, expected at most {self.tolerance:.3g}"
        )


def first_difference(
    program: ExportedProgram,
    path: Path,
    image: NDArray[np.float32],
    *,
    precision: Precision,
    picture: NDArray[np.uint8] | None = None,
) -> FirstDifference | None:
    """Runs network and file on one image and compares the outputs of their layers, in the order of the network.

    Args:
        program: the traced network that the file should reproduce, from `export_program`.
        path: `.onnx` or `.tflite` file with tensors named after layers, as the exporters of this package name them.
        image: prepared, float32 `(1, C, H, W)`.
        precision: of the file; selects the tolerance.
        picture: for an end-to-end file, its input instead of `image`: uint8 `(1, C, H, W)`.

    Returns:
        The first layer beyond the tolerance. For int8 and dynamic, the first layer beyond the tolerance whose error is
        more than twice that of its inputs, if there is one. None if all comparable layers are within the tolerance.

    Raises:
        ValueError: if no tensor of the file is named after a layer of the network.
    """
    reference = reference_layers(program, image)
    found = file_layers(path, image if picture is None else picture)
    if OUTPUT in found:
        found[reference.output] = found.pop(OUTPUT)
    errors = _errors(reference, found, rounded=precision in _ROUNDED)
    if not errors:
        raise ValueError(f"{path} names no layer of the network; export it again with this release")
    tolerance = TOLERANCES[precision]
    beyond = [name for name, error in errors.items() if not error <= tolerance]  # written so that a NaN is beyond
    if not beyond:
        return None
    name = beyond[0]
    if precision in _ROUNDED:
        name = next((each for each in beyond if _jumps(each, errors, reference)), name)
    layer, _, operator = name.rpartition("/")
    return FirstDifference(
        layer=layer,
        operator=operator,
        also=_also(name, errors, reference),
        error=errors[name],
        tolerance=tolerance,
    )


def _errors(reference: ReferenceLayers, found: Mapping[str, NDArray[Any]], *, rounded: bool) -> dict[str, float]:
    """Error of every layer that the file exposes, as a share of the layer's range, in the order of the network."""
    # Ranges contain zero, as in quantizers.
    spans = {name: max(float(v.max()), 0.0) - min(float(v.min()), 0.0) for name, v in reference.values.items()}
    least = _DEAD * max(spans.values(), default=0.0)
    errors = {}
    for name, value in reference.values.items():
        if name in found and found[name].shape == value.shape:
            difference = np.abs(found[name].astype(np.float64) - value)
            size = np.sqrt(np.square(difference).mean()) if rounded else difference.max()
            errors[name] = float(size) / (max(spans[name], least) or 1.0)
    return errors


def _jumps(name: str, errors: Mapping[str, float], reference: ReferenceLayers) -> bool:
    given = [errors[each] for each in _inputs(name, errors, reference)[0]]
    return not errors[name] <= _JUMP * max(given, default=0.0)


def _also(name: str, errors: Mapping[str, float], reference: ReferenceLayers) -> tuple[str, ...]:
    own = name.rpartition("/")[0]
    layers = (each.rpartition("/")[0] for each in reversed(_inputs(name, errors, reference)[1]))
    return tuple(dict.fromkeys(layer for layer in layers if layer != own))


def _inputs(name: str, errors: Mapping[str, float], reference: ReferenceLayers) -> tuple[list[str], list[str]]:
    """The nearest preceding values that the file exposes, and those in between that it does not expose."""
    shown: list[str] = []
    hidden: list[str] = []
    waiting = list(reference.sources.get(name, ()))
    while waiting:
        each = waiting.pop(0)
        if each in errors:
            shown.append(each)
        elif each not in hidden:
            hidden.append(each)
            waiting += reference.sources.get(each, ())
    return shown, hidden


def file_layers(path: Path, image: NDArray[Any]) -> Values:
    """Runs a file on one image and returns its intermediate values by tensor name.

    Args:
        path: `.onnx` or `.tflite`.
        image: `(1, C, H, W)`, prepared and float32; uint8 as decoded for an end-to-end file.

    Returns:
        Float32 values, dequantized where the file holds integers; rank-4 values are `(B, C, H, W)`.

    Raises:
        ImportError: if ONNX Runtime or LiteRT, whichever the file needs, is not installed.
    """
    return _onnx_layers(path, image) if path.suffix == ".onnx" else _tflite_layers(path, image)


def _onnx_layers(path: Path, image: NDArray[Any]) -> Values:
    """Runs a copy of the graph that also outputs the layers' tensors, dequantized as the next layer gets them."""
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
    """Declares the tensors of layers as outputs; returns tensor to read -> name that it stands for."""
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
        warnings.simplefilter("ignore")  # hides the warning that keeping all tensors costs memory
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


@dataclass(frozen=True, kw_only=True)
class ReferenceLayers:
    """Intermediate values of a network in the order of computation; rank-4 values are `(B, C, H, W)`."""

    values: Mapping[str, NDArray[np.float32]]  # keyed by name, see `layer_names`
    sources: Mapping[str, tuple[str, ...]]  # name -> names of the values that it is computed from
    output: str  # name of the logits; empty if no operator of a layer computes them, but e.g. a branch


def reference_layers(program: ExportedProgram, image: NDArray[np.float32]) -> ReferenceLayers:
    """Runs a traced network on one image, float32 `(1, C, H, W)`, and records all intermediate values."""
    import torch

    names = layer_names(program.graph)
    kept: dict[str, NDArray[np.float32]] = {}
    sources: dict[str, tuple[str, ...]] = {}
    output = ""

    class Recorder(torch.fx.Interpreter):
        """Records the result of every node."""

        def run_node(self, node: Node) -> Any:
            nonlocal output
            value = super().run_node(node)
            if node.op == "output":
                output = names.get(node.args[0][0].name, "")  # type: ignore[arg-type, index, union-attr]
            if node.name in names:
                name = names[node.name]
                before = tuple(names[each.name] for each in node.all_input_nodes if each.name in names)
                sources[name] = sources.get(name, ()) + tuple(each for each in before if each != name)
                if isinstance(value, torch.Tensor) and value.is_floating_point():
                    kept[name] = value.numpy().copy()
            return value

    with torch.no_grad():
        Recorder(program.graph_module).run(*_arguments(program, image))
    return ReferenceLayers(values=kept, sources=sources, output=output)


def _arguments(program: ExportedProgram, image: NDArray[np.float32]) -> list[Any]:
    """Weights, buffers and the image, in the order of the graph's placeholders."""
    import torch

    held = {**program.constants, **program.state_dict}
    return [
        torch.from_numpy(image) if spec.target is None else held[spec.target]
        for spec in program.graph_signature.input_specs
    ]
