"""Turns a float32 ONNX graph into another precision."""

from __future__ import annotations

import json
import math
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.float_weights import lightest
from tf_bridge.quiet import quiet
from torchseg.modelfile.precision import Precision

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto
    from onnxruntime.quantization import CalibrationDataReader


Images = NDArray[np.float32]

Measured = dict[str, Any]
_WIDENED = 2.0  # times at most where others read the tensor, too: it costs them one bit of eight
_SAME_STEP = ("Resize", "MaxPool")  # the quantizer gives their output the range of their input


def convert_onnx(model: ModelProto, precision: Precision, images: Images | None) -> ModelProto:
    """Gives the graph at that precision; input and output stay float32.

    Args:
        model: `onnx.ModelProto`, float32, batch norm folded.
        precision: to convert to.
        images: for int8, float32 `(B, C, H, W)`, run one by one to measure ranges.

    Returns:
        A new `onnx.ModelProto`.

    Raises:
        ImportError: without ONNX Runtime, for every precision but fp32.
    """
    if precision is Precision.FP32:
        return model
    try:
        import onnxruntime.quantization  # noqa: F401 - here for the message, the steps import what they use
    except ModuleNotFoundError as error:
        raise ImportError(f"{precision} .onnx files need onnxruntime: install torchseg-compress") from error
    with quiet():
        return _STEPS[precision](_copy(model), images)


def halve_onnx(model: ModelProto, *, float_share: float) -> tuple[ModelProto, list[str]]:
    """Stores weights as float16 behind a cast, as TFLite does; the runtime undoes it once, while loading.

    Arithmetic in float16 is slower than float32 on most CPUs and overflows where weights do not.

    Args:
        model: float32; stays as it was.
        float_share: of all values, that stay in float32: those of the lightest weights.

    Returns:
        The graph, and the layers whose weights stayed in float32.

    Raises:
        ValueError: for a weight beyond the range of float16.
    """
    from onnx import TensorProto, helper, numpy_helper

    halved = _copy(model)
    graph, casts = halved.graph, []
    weights = [tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT and tensor.dims]
    kept = lightest({tensor.name: math.prod(tensor.dims) for tensor in weights}, float_share)
    for tensor in weights:
        if tensor.name in kept:
            continue
        name, half = tensor.name, numpy_helper.to_array(tensor).astype(np.float16)
        if not np.isfinite(half).all():
            raise ValueError(f"weight {name} leaves the range of float16 (65504); export this network as fp32")
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}.fp16"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], name=f"{name}.cast", to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    layers = [tensor.name.rpartition(".")[0] for tensor in weights if tensor.name in kept and len(tensor.dims) > 1]
    return halved, list(dict.fromkeys(layers))


def _fp16(model: ModelProto, images: Images | None) -> ModelProto:
    return halve_onnx(model, float_share=0)[0]


def _dynamic(model: ModelProto, images: Images | None) -> ModelProto:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # ConvInteger has no kernel for signed weights on x86.
    return _through_file(lambda path: quantize_dynamic(model, path, weight_type=QuantType.QUInt8))


def _int8(model: ModelProto, images: Images | None) -> ModelProto:
    assert images is not None
    return quantize_onnx(model, measure_ranges(model, images), float_nodes=())


def measure_ranges(model: ModelProto, images: Images) -> bytes:
    """The range of every tensor of a float32 graph over the images `(B, C, H, W)`, in ONNX Runtime's own notation.

    Inputs of concatenations have the range of the output, where `share_concat_ranges` gives it to them.
    """
    with tempfile.TemporaryDirectory() as folder, quiet():
        ranges = Path(folder) / "ranges.json"
        _quantize(_copy(model), images, ranges, float_nodes=())
        return share_concat_ranges(model, ranges.read_bytes())


def quantize_onnx(model: ModelProto, ranges: bytes, *, float_nodes: Iterable[str]) -> ModelProto:
    """The graph in int8 but for some nodes, by ranges from `measure_ranges`; the model itself stays as it was."""
    with tempfile.TemporaryDirectory() as folder, quiet():
        path = Path(folder) / "ranges.json"
        path.write_bytes(ranges)
        return _quantize(_copy(model), None, path, float_nodes=float_nodes)


def _quantize(model: ModelProto, images: Images | None, ranges: Path, *, float_nodes: Iterable[str]) -> ModelProto:
    """QDQ with unsigned activations and signed weights: any other pairing gains nothing on x86 processors.

    Ranges are measured on the images and left in the file `ranges`, or read from there.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    return _through_file(
        lambda path: quantize_static(
            model,
            path,
            None if images is None else _reader(images, model.graph.input[0].name),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            nodes_to_exclude=list(float_nodes),
            calibrate_method=CalibrationMethod.MinMax,
            calibration_cache_path=ranges,
        )
    )


def _copy(model: ModelProto) -> ModelProto:
    copied = type(model)()
    copied.CopyFrom(model)  # the quantizers write into what they are given
    return copied


def _reader(images: Images, name: str) -> CalibrationDataReader:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """Hands one image at a time to the calibration."""

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


def share_concat_ranges(model: ModelProto, ranges: bytes) -> bytes:
    """Gives inputs of concatenations the range of the output, where that costs little or nothing.

    ONNX Runtime copies an input that has the output's range and looks up every number of one that has not. A tensor
    that a concatenation alone reads is rounded to the steps of the output in any case; one that others read keeps its
    range if that would more than double.

    Args:
        model: float32 graph.
        ranges: of its tensors, in ONNX Runtime's own notation.

    Returns:
        The ranges, those of such inputs widened.
    """
    table = json.loads(ranges)
    known = table["data"]
    makers = {name: node for node in model.graph.node for name in node.output}
    readers = Counter(name for node in model.graph.node for name in node.input)
    readers.update(value.name for value in model.graph.output)
    for node in reversed(model.graph.node):  # what a later concatenation widens is then as wide for its own inputs
        if node.op_type != "Concat" or node.output[0] not in known:
            continue
        whole = known[node.output[0]]
        for name in node.input:
            tensors = _same_range(name, makers)
            if not known.keys() >= set(tensors) or not _may_end_at(whole, makers.get(tensors[-1])):
                continue
            alone = all(readers[each] == 1 for each in tensors)
            if alone or _width(whole) <= _WIDENED * _width(known[name]):
                known.update(dict.fromkeys(tensors, whole))
    return json.dumps(table).encode()


def _same_range(name: str, makers: dict[str, NodeProto]) -> list[str]:
    """The tensor, and those in front of it that have its range."""
    tensors = [name]
    while (maker := makers.get(tensors[-1])) is not None and maker.op_type in _SAME_STEP:
        tensors.append(maker.input[0])
    return tensors


def _may_end_at(measured: Measured, maker: NodeProto | None) -> bool:
    """Whether the integers of a tensor may stand for this range.

    The quantizer drops a ReLU because integers of its range have no smaller number than zero, and a clip likewise.
    """
    if maker is None or maker.op_type == "Clip":
        return False
    return maker.op_type != "Relu" or _ends(measured)[0] == 0


def _width(measured: Measured) -> float:
    low, high = _ends(measured)
    return high - low


def _ends(measured: Measured) -> tuple[float, float]:
    """Smallest and largest value; the quantizer has zero in every range."""
    low, high = (float(measured[end]["data"][0]) for end in ("lowest", "highest"))
    return min(low, 0.0), max(high, 0.0)
