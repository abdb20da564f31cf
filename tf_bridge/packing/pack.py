"""Packs ONNX files, so that pruned or clustered weights take less space on disk."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.packing.codebook import PackedWeight, without_negative_zeros
from tf_bridge.packing.names import STORAGE
from tf_bridge.packing.quantized import shorten_quantization
from tf_bridge.packing.rebuild import PackedRebuild
from tf_bridge.packing.slim import slim_graph
from torchseg.atomic_file import partial_file
from torchseg.modelfile.model_file import complete_file
from torchseg.modelfile.onnx_constants import constants_of

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto


_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")  # operators whose second input is a weight
_MIN_OPSET = 13


@dataclass(frozen=True, kw_only=True)
class StoredWeight:
    """How one weight tensor is stored in a packed file."""

    name: str
    shape: tuple[int, ...]
    storage: str  # "dense", "codes", "mask and codes" or "mask and values"
    codebooks: int  # 1 per tensor, or 1 per channel; 0 if dense
    values: int  # in the largest codebook, or stored behind a mask; the zero of a mask does not count; 0 if dense
    dense_bytes: int
    packed_bytes: int  # an estimate, including the operators that rebuild the tensor


@dataclass(frozen=True, kw_only=True)
class PackingSummary:
    """Sizes before and after packing a file."""

    source_bytes: int  # of the files on disk
    target_bytes: int
    weights: tuple[StoredWeight, ...]  # in the order of the graph

    @property
    def times_smaller(self) -> float:
        """Size of the source divided by the size of the target."""
        return self.source_bytes / self.target_bytes


def pack_onnx(source: Path, target: Path) -> PackingSummary:
    """Writes a valid `.onnx` file that computes the same, with weights stored as bitmask, codes, codebook and values.

    Standard operators rebuild the weights, and ONNX Runtime folds these operators into constants when it loads the
    file: from then on it holds and executes the same as for `source`. Each tensor gets the smallest of four forms
    (dense, codes, mask and codes, mask and values), with one codebook or one per channel. In an int8 file the codebooks
    are int8, in an fp16 file float16. The names of inputs, outputs and weights do not change.

    Args:
        source: fp32, fp16 or QDQ int8 file with the weights of convolutions, transposed convolutions and linear layers
            as initializers. Weights with more than 256 distinct values per channel and few zeros stay dense.
        target: file to write. It appears only after ONNX Runtime has rebuilt every weight to the bit and was found to
            execute the same operators as for `source`.

    Returns:
        Sizes in bytes, of the files and of each weight.

    Raises:
        ValueError: if `source` is missing, damaged, already packed, older than opset 13, or holds weights that are
            not finite; if a path does not end in `.onnx`; or if the installed ONNX Runtime does not fold the
            weights back.
        ImportError: if ONNX Runtime is not installed.
    """
    model = _read(source, target)
    weights = _find_weights(model.graph, source)
    smallest = {name: _smallest(name, weight) for name, weight in weights.items()}
    packed = {name: storage for name, storage in smallest.items() if storage is not None}
    rebuild = PackedRebuild()
    for name, storage in packed.items():
        rebuild.add(name, storage)
    _replace(model, rebuild, packed)
    slim_graph(model.graph, keep=weights)
    scales = shorten_quantization(model.graph)
    _check_constants(model, scales | {name: weights[name] for name in packed})
    with partial_file(target) as partial:
        partial.write_bytes(_serialize(model))
        _check_operators(source, partial)
        # Read before the target appears, because both paths may be the same.
        source_bytes, target_bytes = source.stat().st_size, partial.stat().st_size
    rows = tuple(_row(name, weight, packed.get(name)) for name, weight in weights.items())
    return PackingSummary(source_bytes=source_bytes, target_bytes=target_bytes, weights=rows)


def _read(source: Path, target: Path) -> ModelProto:
    import onnx

    for path in (source, target):
        if path.suffix != ".onnx":
            raise ValueError(f"{path} is not an .onnx file; only ONNX files can be packed")
    if STORAGE in complete_file(source).metadata:  # raises for a missing or damaged file
        raise ValueError(f"{source} is packed already; give the file that it was made from")
    model = onnx.load(source)
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if opset < _MIN_OPSET:
        raise ValueError(f"{source} has opset {opset}; packing needs {_MIN_OPSET} or later: export it again")
    return model


def _find_weights(graph: GraphProto, source: Path) -> dict[str, NDArray[Any]]:
    """Initializers that are weights, used directly or through a DequantizeLinear or a Cast."""
    from onnx import TensorProto, numpy_helper

    # An initializer that is also a graph input can be replaced by the caller, so runtimes never fold it.
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for value in graph.input:
        constants.pop(value.name, None)
    decoded = {node.output[0]: node.input[0] for node in graph.node if node.op_type in ("DequantizeLinear", "Cast")}
    kinds = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT8, TensorProto.UINT8)
    weights = {}
    for node in graph.node:
        if node.op_type not in _WEIGHTED:
            continue
        name = decoded.get(node.input[1], node.input[1])
        if name in constants and constants[name].data_type in kinds:
            try:
                weights[name] = numpy_helper.to_array(constants[name])
            except ValueError as error:
                raise ValueError(f"{source} holds a damaged weight {name} ({error}); export it again") from error
    return weights


def _smallest(name: str, weight: NDArray[Any]) -> PackedWeight | None:
    try:
        return PackedWeight.smallest(weight)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _replace(model: ModelProto, rebuild: PackedRebuild, packed: Collection[str]) -> None:
    graph = model.graph
    initializers = [tensor for tensor in graph.initializer if tensor.name not in packed]
    nodes = [*rebuild.nodes, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend([*initializers, *rebuild.initializers])
    graph.node.extend(nodes)
    model.metadata_props.add(key=STORAGE, value="packed")


def _serialize(model: ModelProto) -> bytes:
    import onnx

    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def _check_constants(model: ModelProto, expected: dict[str, NDArray[Any]]) -> None:
    """Computes constants in ONNX Runtime and compares their bits; raises ValueError if any differ."""
    try:
        import onnxruntime  # noqa: F401 - says what to install
    except ModuleNotFoundError as error:
        raise ImportError("packing .onnx files needs onnxruntime: install torchseg-compress") from error
    makers = {name: node for node in model.graph.node for name in node.output}
    computed = constants_of(model, set(expected), makers, Path())
    for name, values in expected.items():
        if without_negative_zeros(values).tobytes() != np.ascontiguousarray(computed[name]).tobytes():
            raise ValueError(f"ONNX Runtime rebuilds {name} with other values; keep the unpacked file and report this")


def _check_operators(source: Path, packed: Path) -> None:
    before, after = executed_operators(source), executed_operators(packed)
    if before != after:
        more, fewer = dict(after - before), dict(before - after)
        raise ValueError(
            f"the packed file executes {more or 'nothing'} more and {fewer or 'nothing'} less than {source}; "
            "this version of ONNX Runtime does not fold weights at load: keep the unpacked file"
        )


def _row(name: str, weight: NDArray[Any], packed: PackedWeight | None) -> StoredWeight:
    return StoredWeight(
        name=name,
        shape=weight.shape,
        storage=packed.storage if packed else "dense",
        codebooks=len(packed.codebook) if packed and packed.codes else 0,
        values=packed.codebook.shape[1] - (packed.mask is not None) if packed else 0,
        dense_bytes=weight.nbytes,
        packed_bytes=packed.size_bytes if packed else weight.nbytes,
    )


def executed_operators(path: Path) -> Counter[str]:
    """Counts the operators that remain after ONNX Runtime has optimized a file for this CPU.

    Args:
        path: of an `.onnx` file.

    Returns:
        Operator name to number of occurrences; non-standard operators have their domain as a prefix.

    Raises:
        ValueError: if ONNX Runtime cannot load the file.
        ImportError: if ONNX Runtime is not installed.
    """
    import onnx

    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise ImportError("looking into an .onnx file needs onnxruntime: install torchseg-compress") from error
    with tempfile.TemporaryDirectory() as folder:
        optimized = Path(folder) / "optimized.onnx"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3  # hides the warning that the optimized graph is specific to this CPU
        options.optimized_model_filepath = str(optimized)
        try:
            onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the exceptions of ONNX Runtime share no base class below Exception
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ValueError(f"ONNX Runtime cannot load {path} ({reason}); export it again") from error
        nodes = onnx.load(optimized).graph.node
    return Counter(f"{node.domain}.{node.op_type}".lstrip(".") for node in nodes)
