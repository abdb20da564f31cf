"""Converts a float32 ONNX model to another precision."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tf_bridge.calibration import not_finite
from tf_bridge.float_weights import lightest
from tf_bridge.onnx.attention import flatten_matrices, small_softmaxes
from tf_bridge.onnx.concat_ranges import share_concat_ranges
from tf_bridge.onnx.failures import one_message
from tf_bridge.onnx.grouped_bias import split_grouped_biases
from tf_bridge.onnx.masks import make_masks_finite, masked_nodes, masks
from tf_bridge.onnx.value_names import layer_of_node, layer_of_weight
from tf_bridge.onnx.weight_steps import Steps, measure_steps, set_steps
from tf_bridge.onnx.zero_channels import refine_zero_channels
from tf_bridge.quiet import quiet
from torchseg.modelfile.precision import Precision
from torchseg.record import plain_json

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnxruntime.quantization import CalibrationDataReader


Images = NDArray[np.float32]

_MOST_LOST = 0.01  # of a channel's signal
_INSTEAD_OF_INT8 = "export fp32, fp16 or dynamic, or replace that layer"
# ONNX Runtime computes these in float in any case. Rounding their weights to int8 only costs accuracy, and its
# quantizer fails on weights with several dimensions and on weights that two layers share.
_NORMALISATIONS = {"BatchNormalization", "GroupNormalization", "InstanceNormalization", "LayerNormalization"}


def convert_onnx(model: ModelProto, precision: Precision, images: Images | None) -> ModelProto:
    """Converts a model to another precision; input and output stay float32.

    Args:
        model: `onnx.ModelProto`, float32, batch norm folded.
        precision: to convert to.
        images: for int8, float32 `(B, C, H, W)`; run one by one to measure ranges.

    Returns:
        A new `onnx.ModelProto`; for fp32, `model` itself.

    Raises:
        ImportError: for every precision but fp32, if ONNX Runtime is not installed.
        ValueError: if a layer cannot be converted.
    """
    if precision is Precision.FP32:
        return model
    try:
        import onnxruntime.quantization  # noqa: F401 - checked here for a clear message
    except ModuleNotFoundError as error:
        raise ImportError(f"{precision} .onnx files need onnxruntime: install torchseg-compress") from error
    with quiet():
        return _STEPS[precision](_copy(model), images)


def halve_onnx(model: ModelProto, *, float_share: float) -> tuple[ModelProto, list[str]]:
    """Stores weights as float16 and computes in float32, as TFLite does: the runtime casts them back while loading.

    Arithmetic in float16 would be slower than in float32 on most CPUs, and can overflow where the weights do not.

    Args:
        model: float32; not modified.
        float_share: share of all weight values, 0 to 1, that may stay in float32; the smallest tensors are chosen.

    Returns:
        The converted model, and the layers whose weights stayed in float32. Masks that exceed the range of float16, as
        -inf does, stay in float32 in any case.

    Raises:
        ValueError: if another weight to be converted exceeds the range of float16.
    """
    from onnx import TensorProto, helper, numpy_helper

    converted = _copy(model)
    graph, casts, mask_names = converted.graph, [], masks(model)
    weights = [tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT and tensor.dims]
    kept = lightest({tensor.name: math.prod(tensor.dims) for tensor in weights}, float_share)
    for tensor in weights:
        if tensor.name in kept:
            continue
        name, half = tensor.name, numpy_helper.to_array(tensor).astype(np.float16)
        if not np.isfinite(half).all():
            if name in mask_names:
                continue
            raise ValueError(f"weight {name} leaves the range of float16 (65504); export this network as fp32")
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}.fp16"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], name=f"{name}.cast", to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    layers = [layer_of_weight(tensor.name) for tensor in weights if tensor.name in kept and len(tensor.dims) > 1]
    return converted, list(dict.fromkeys(layers))


def _fp16(model: ModelProto, images: Images | None) -> ModelProto:
    return halve_onnx(model, float_share=0)[0]


def _dynamic(model: ModelProto, images: Images | None) -> ModelProto:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    plain = _for_transposing(model)
    # ConvInteger has no kernel for signed weights on x86.
    with one_message("dynamic quantization", model, advice="export fp32 or fp16, or replace that layer"):
        return _through_file(
            lambda path: quantize_dynamic(
                plain, path, weight_type=QuantType.QUInt8, nodes_to_exclude=_uneven_layers(plain)
            )
        )


def _uneven_layers(model: ModelProto) -> list[str]:
    """Names of the convolutions whose channels are so different that one scale for all of them rounds small ones away.

    ConvInteger has one scale. Such layers are the first ones and depthwise ones, which hold few of the weights.
    """
    from onnx import numpy_helper

    weights = {each.name: each for each in model.graph.initializer}
    return [
        node.name
        for node in model.graph.node
        if node.op_type == "Conv"
        and node.input[1] in weights
        and _lost_share(numpy_helper.to_array(weights[node.input[1]])) > _MOST_LOST
    ]


def _lost_share(weights: NDArray[np.float32]) -> float:
    """Noise of rounding to one 8-bit scale over the signal, which a tenth of the channels `(C_out, ...)` exceeds."""
    rows = weights.reshape(len(weights), -1).astype(np.float64)
    step = max(np.ptp(rows), 1e-30) / 255
    noise, signal = ((np.round(rows / step) * step - rows) ** 2).mean(axis=1), (rows**2).mean(axis=1)
    return float(np.quantile(noise / np.maximum(signal, 1e-30), 0.9))


def _for_transposing(model: ModelProto) -> ModelProto:
    """A copy of a model whose linear weights the dynamic quantizer can transpose in place, under their old names.

    So no shapes of them may be noted, and each linear layer needs weights of its own.
    """
    copied = _copy(model)
    del copied.graph.value_info[:]
    weights = {each.name: each for each in copied.graph.initializer}
    seen: set[str] = set()
    for node in copied.graph.node:
        if node.op_type != "Gemm" or node.input[1] not in weights:
            continue
        if node.input[1] in seen:
            own = copied.graph.initializer.add()
            own.CopyFrom(weights[node.input[1]])
            own.name = node.input[1] = f"{node.output[0]}/weight"
        seen.add(node.input[1])
    return copied


def _int8(model: ModelProto, images: Images | None) -> ModelProto:
    assert images is not None
    return quantize_onnx(model, measure_ranges(model, images), measure_steps(model, images), float_nodes=())


def measure_ranges(model: ModelProto, images: Images) -> bytes:
    """Measures the value range of every tensor of a float32 model on calibration images.

    Args:
        model: float32; not modified.
        images: float32 `(B, C, H, W)`.

    Returns:
        The ranges in ONNX Runtime's JSON format, after `share_concat_ranges`.

    Raises:
        ValueError: if a range is not finite, or if the model cannot be quantized; names the layer.
    """
    with tempfile.TemporaryDirectory() as folder, quiet():
        ranges = Path(folder) / "ranges.json"
        try:
            _quantize(model, images, ranges, float_nodes=())
        except ValueError:
            if ranges.is_file():
                _check_ranges(model, ranges.read_bytes())
            raise
        measured = ranges.read_bytes()
        _check_ranges(model, measured)  # with some ranges that are not finite, the quantizer goes on
        return share_concat_ranges(model, measured, left_out=masked_nodes(model, measured))


def quantize_onnx(model: ModelProto, ranges: bytes, steps: Steps, *, float_nodes: Iterable[str]) -> ModelProto:
    """Quantizes a float32 model, which is not modified, to int8.

    Args:
        model: float32.
        ranges: from `measure_ranges`.
        steps: from `measure_steps`.
        float_nodes: names of the nodes to leave in float32.

    Raises:
        ValueError: if the model cannot be quantized; names the layer.
    """
    with tempfile.TemporaryDirectory() as folder, quiet():
        path = Path(folder) / "ranges.json"
        path.write_bytes(ranges)
        in_float = [*float_nodes, *small_softmaxes(model, ranges), *masked_nodes(model, ranges)]
        return set_steps(_quantize(model, None, path, float_nodes=in_float), model, steps)


def _quantize(model: ModelProto, images: Images | None, ranges: Path, *, float_nodes: Iterable[str]) -> ModelProto:
    """Quantizes to QDQ with unsigned activations and signed weights; no other combination is faster on x86.

    With images, their ranges are measured and written to the file `ranges`; without, the ranges are read from it.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    prepared = make_masks_finite(flatten_matrices(split_grouped_biases(_copy(model))))
    with one_message("int8 quantization", prepared, advice=_INSTEAD_OF_INT8):
        quantized = _through_file(
            lambda path: quantize_static(
                prepared,
                path,
                None if images is None else _reader(images, model.graph.input[0].name),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                op_types_to_quantize=_quantized_types(),
                nodes_to_exclude=list(float_nodes),
                calibrate_method=CalibrationMethod.MinMax,
                calibration_cache_path=ranges,
            )
        )
    return refine_zero_channels(quantized, model)


def _quantized_types() -> list[str]:
    """The operators that ONNX Runtime's quantizer knows, without the normalisations."""
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    return sorted({*QDQRegistry, *QLinearOpsRegistry} - _NORMALISATIONS)


def _check_ranges(model: ModelProto, ranges: bytes) -> None:
    """Raises ValueError if a measured range is not finite; names the first such layer in the order of the graph."""
    measured = dict(plain_json(ranges.decode())).get("data", {})
    for node in model.graph.node:
        for name in node.output:
            if (
                name in measured
                and not np.isfinite([measured[name][end]["data"] for end in ("lowest", "highest")]).all()
            ):
                layer = layer_of_node(node, {tensor.name for tensor in model.graph.initializer})
                raise ValueError(not_finite(layer, node.op_type))


def _copy(model: ModelProto) -> ModelProto:
    copied = type(model)()
    copied.CopyFrom(model)  # the quantizers modify the model that they get
    return copied


def _reader(images: Images, name: str) -> CalibrationDataReader:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """Gives the calibration one image at a time."""

        def __init__(self) -> None:
            self.batches = iter([{name: image[None]} for image in images])

        def get_next(self) -> dict[str, Images] | None:
            return next(self.batches, None)

    return Reader()


def _through_file(quantize: Callable[[str], None]) -> ModelProto:
    import onnx

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "quantized.onnx")
        quantize(path)
        return onnx.load(path)


_STEPS: dict[Precision, Callable[[ModelProto, Images | None], ModelProto]] = {
    Precision.FP16: _fp16,
    Precision.DYNAMIC: _dynamic,
    Precision.INT8: _int8,
}
