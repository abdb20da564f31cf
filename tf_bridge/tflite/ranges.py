"""Measures the ranges of a float TFLite file and corrects them before TensorFlow's quantizer turns them into grids."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.calibration import not_finite
from tf_bridge.layer_names import layer_of_tensor
from tf_bridge.masked_scores import Operation, Range, Tensor, is_bounding, masked_scores
from torchseg.modelfile.tflite import TfliteModel

# Index of the weights among the inputs of an operation.
_WEIGHTED = {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "TRANSPOSE_CONV": 1, "FULLY_CONNECTED": 1}
_IMAGE = {"TRANSPOSE_CONV": 2}  # index of the image, if not 0
_SUMS = ("ADD", "SUB")
LARGEST = float(np.finfo(np.float32).max)
# XNNPACK refuses a file in which the quantization step of a result is 256 times finer than that of the values it sums
# up; 128 leaves a margin. This loses nothing: a result so small against its summands is their rounding error.
_FINEST = 1 / 128
# Neither does it take a summand whose step is 1024 times finer than that of the sum.
_FINEST_SUMMAND = 1 / 512

# Operations whose results have the grid of what they read, because they only move, average or choose values.
_MOVING = frozenset(
    {
        *("CONCATENATION", "PACK", "UNPACK", "SPLIT", "SPLIT_V", "SLICE", "STRIDED_SLICE", "GATHER", "GATHER_ND"),
        *("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "REVERSE_V2", "TILE", "BROADCAST_TO", "PAD", "MIRROR_PAD"),
        *("SPACE_TO_DEPTH", "DEPTH_TO_SPACE", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND", "SELECT", "SELECT_V2"),
        *("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "AVERAGE_POOL_2D"),
    }
)
_AVERAGING = frozenset({"RESIZE_BILINEAR", "AVERAGE_POOL_2D"})
# Their results have the grid of what they read, too, but what is beyond the range of the result has no effect on it.
_CHOOSING = frozenset({"MAX_POOL_2D", "MAXIMUM", "MINIMUM", "REDUCE_MAX", "REDUCE_MIN"})


def with_ranges(calibrated: bytes, images: NDArray[np.float32]) -> tuple[bytes, set[str]]:
    """Gives a file ranges that the quantizer does not turn into grids that cut values off, or that no runtime loads.

    Args:
        calibrated: bytes of a float32 `.tflite` file whose tensors hold a smallest and largest value, if they need one.
        images: for calibration, float32 `(B, C, H, W)`; run one by one.

    Returns:
        Bytes of the file with the same graph and weights, and the names of the results of the operations between each
        mask of very negative constants and its softmax: they must stay in float.
    """
    file = TfliteModel(calibrated)
    _measure(file, calibrated, images)
    in_float = _masked_operations(file)
    _narrow(file, in_float)
    operations = [each for each in file.graph.operators if result_name(file.graph, each) not in in_float]
    _join_ranges(file, operations)
    _widen_flat_ranges(file, operations)
    return file.content(), in_float


def check_ranges(calibrated: bytes, in_float: Collection[str]) -> None:
    """Raises ValueError if a range that the quantizer will use is not finite; names the first such layer.

    Args:
        calibrated: bytes of a file from `with_ranges`.
        in_float: names of the results of the operations that the quantizer leaves in float.
    """
    file = TfliteModel(calibrated)
    graph = file.graph
    quantized = [each for each in graph.operators if result_name(graph, each) not in in_float]
    used = {int(index) for each in quantized for index in (*each.inputs, *each.outputs)}
    for operation in graph.operators:
        for tensor in (graph.tensors[index] for index in operation.outputs if int(index) in used):
            # Kernels that are told no bounds keep to the largest float where PyTorch gives infinity.
            if is_measured(tensor) and not max(map(abs, _range(tensor))) < LARGEST:
                layer = layer_of_tensor(result_name(graph, operation))
                raise ValueError(not_finite(layer, file.kind(operation)))


def _range(tensor: Any) -> Range:
    return float(tensor.quantization.min[0]), float(tensor.quantization.max[0])


def _measure(file: TfliteModel, content: bytes, images: NDArray[np.float32]) -> None:
    """Replaces the ranges by the smallest and largest values that the tensors have on these images.

    TensorFlow measures the inputs of an operation after it has run. A sum may be written over one of its summands,
    which then gets the range of the sum.
    """
    interpreter = float_interpreter(content)
    measured = {index: each.quantization for index, each in enumerate(file.graph.tensors) if is_measured(each)}
    low, high = (dict.fromkeys(measured, end) for end in (np.inf, -np.inf))
    for image in images:
        interpreter.set_tensor(file.graph.inputs[0], np.ascontiguousarray(image.transpose(1, 2, 0)[None]))
        interpreter.invoke()
        for index in measured:
            values = interpreter.get_tensor(index)
            low[index], high[index] = np.minimum(low[index], values.min()), np.maximum(high[index], values.max())
    for index, quantization in measured.items():
        quantization.min[0], quantization.max[0] = low[index], high[index]


def float_interpreter(content: bytes) -> Any:
    """Runs a float32 file without XNNPACK, and keeps all intermediate values."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # hides the warning that keeping all tensors costs memory
        interpreter = Interpreter(
            model_content=content,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
    interpreter.allocate_tensors()
    return interpreter


def _masked_operations(file: TfliteModel) -> set[str]:
    """Names of the results of the operations from each mask of very negative constants to its softmax."""
    graph = file.graph
    ranges: dict[Tensor, Range] = {index: _range(each) for index, each in enumerate(graph.tensors) if is_measured(each)}
    operations = [
        Operation(
            result_name(graph, each), file.kind(each), tuple(map(int, each.inputs)), tuple(map(int, each.outputs))
        )
        for each in graph.operators
    ]
    return masked_scores(operations, ranges)


def _narrow(file: TfliteModel, in_float: Collection[str]) -> None:
    """Gives masked scores the range that they have without the mask.

    They stay in float, but the quantizer gives all that a concatenation or a slice reads one range, whatever it leaves
    in float.
    """
    graph = file.graph
    for operation in graph.operators:
        if result_name(graph, operation) in in_float and not is_bounding(file.kind(operation)):
            sources = [graph.tensors[index] for index in operation.inputs if index >= 0]
            results = [graph.tensors[index] for index in operation.outputs]
            _set_range(filter(is_measured, results), filter(is_measured, sources))


def result_name(graph: Any, operation: Any) -> str:
    """Name of an operation's first result, by which the quantizer knows the operation."""
    return str(graph.tensors[operation.outputs[0]].name.decode())


def _join_ranges(file: TfliteModel, operations: Sequence[Any]) -> None:
    """Gives tensors that must share a grid one range that holds all their values.

    The quantizer takes the range of one of them, often of the last. A tensor that goes through a maximum into a
    concatenation, as in spatial attention, then gets the range of the maxima, which cuts off its smaller values for its
    other readers, too. Only a tensor from which nothing but maxima are taken may have the range of these.
    """
    graph = file.graph
    group = list(range(len(graph.tensors)))

    def first(index: int) -> int:
        while group[index] != index:
            index = group[index]
        return index

    for operation in operations:
        if file.kind(operation) in _MOVING | _CHOOSING:
            ends = [int(index) for index in (*operation.outputs, *operation.inputs)]
            joined = [index for index in ends if index >= 0 and is_measured(graph.tensors[index])]
            for index in joined:
                group[first(index)] = first(joined[0])
    chosen_from = _chosen_from(file)
    members: dict[int, list[int]] = {}
    for index, tensor in enumerate(graph.tensors):
        if is_measured(tensor):
            members.setdefault(first(index), []).append(index)
    for indices in members.values():
        counted = [index for index in indices if index not in chosen_from] or indices
        _set_range([graph.tensors[index] for index in indices], [graph.tensors[index] for index in counted])


def _chosen_from(file: TfliteModel) -> set[int]:
    """Tensors that are read by maxima and minima alone, directly or once they have been moved."""
    graph = file.graph
    found = set(range(len(graph.tensors))) - set(map(int, graph.outputs))
    for operation in reversed(graph.operators):
        kind = file.kind(operation)
        moves = kind in _MOVING - _AVERAGING and found.issuperset(map(int, operation.outputs))
        if kind not in _CHOOSING and not moves:
            found.difference_update(map(int, operation.inputs))
    return found


def _set_range(tensors: Iterable[Any], counted: Iterable[Any]) -> None:
    """Gives all these tensors the range that holds the ranges of the counted ones."""
    measured = [tensor.quantization for tensor in counted]
    low, high = min(each.min[0] for each in measured), max(each.max[0] for each in measured)
    for tensor in tensors:
        tensor.quantization.min[0], tensor.quantization.max[0] = low, high


def _widen_flat_ranges(file: TfliteModel, operations: Sequence[Any]) -> None:
    """Widens degenerate ranges to the smallest range that an integer kernel can resolve for its inputs and weights.

    A ReLU that never fires, or a gate that never changes, has a range of zero. The quantizer then takes 2e-6, and no
    runtime with XNNPACK loads the file.
    """
    graph = file.graph
    for operation in operations:
        target = graph.tensors[operation.outputs[0]]
        sources = [graph.tensors[index] for index in operation.inputs]
        least = _FINEST * _reach(file, file.kind(operation), sources)
        if is_measured(target) and _span(target) < least:
            _widen(target, least)
        if file.kind(operation) in _SUMS:
            for summand in sources:
                if is_measured(summand) and _span(summand) < _FINEST_SUMMAND * _span(target):
                    _widen(summand, _FINEST_SUMMAND * _span(target))


def _widen(tensor: Any, span: float) -> None:
    tensor.quantization.max[0] = span + min(float(tensor.quantization.min[0]), 0.0)


def _reach(file: TfliteModel, kind: str, sources: list[Any]) -> float:
    """Range of an output with the step of the values it sums up; 0 for operations that keep the step of their input."""
    if kind in _WEIGHTED:
        weights = file.data(sources[_WEIGHTED[kind]])
        largest = np.abs(np.frombuffer(bytes(weights), np.float32)).max() if weights is not None else 0.0
        return _span(sources[_IMAGE.get(kind, 0)]) * float(largest) / 127
    if kind == "MUL":
        return _span(sources[0]) * _span(sources[1]) / 255
    return max(_span(each) for each in sources[:2]) if kind in _SUMS else 0.0


def is_measured(tensor: Any) -> bool:
    """Whether a tensor holds the range of its values, which constants do not."""
    quantization = tensor.quantization
    return quantization is not None and quantization.min is not None and len(quantization.min) == 1


def _span(tensor: Any) -> float:
    """Width of the measured range, extended to contain zero; 0 for constants, which are not measured."""
    if not is_measured(tensor):
        return 0.0
    return max(float(tensor.quantization.max[0]), 0.0) - min(float(tensor.quantization.min[0]), 0.0)
