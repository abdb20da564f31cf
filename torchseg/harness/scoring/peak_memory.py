"""Measures the peak multiply-add rate of this CPU, to show how much of it a model file uses."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from torchseg.harness.runtimes.process import RuntimeProcess, RuntimeProcessError
from torchseg.harness.scoring.latency import Latency

if TYPE_CHECKING:
    import onnx


# Only 3x3 convolutions whose activations and kernels fit into the L2 cache, run in the library with the best kernels
# for float32 and int8. A matrix product in PyTorch does not serve: it stays far below the peak.
_CHANNELS, _SIDE, _KERNEL = 64, 32, 3
_LAYERS: Mapping[str, int] = {"float32": 4, "int8": 12}  # chosen so that both take about the same time
IMAGE_SHAPE = (1, _CHANNELS, _SIDE, _SIDE)


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A model file that only multiplies and adds.

    Attributes:
        path: the .onnx file; it takes float32 images of shape `IMAGE_SHAPE`.
        multiply_adds: per prediction.
    """

    path: Path
    multiply_adds: int


def write_probes(folder: Path) -> dict[str, Probe]:
    """Writes one ONNX probe per number format, `float32` and `int8`."""
    import onnx

    makers = {"float32": _float_chain, "int8": _int8_chain}
    probes = {}
    for arithmetic, layers in _LAYERS.items():
        path = folder / f"{arithmetic}.onnx"
        onnx.save(makers[arithmetic](layers), path)
        probes[arithmetic] = Probe(path=path, multiply_adds=layers * (_CHANNELS * _KERNEL * _SIDE) ** 2)
    return probes


def peak_kind(arithmetic: str) -> str:
    """The probe to compare a file with: `int8` if its convolutions multiply 8-bit numbers, else `float32`."""
    return "int8" if arithmetic.split()[:1] == ["int8"] else "float32"


def _float_chain(layers: int) -> onnx.ModelProto:
    from onnx import helper, numpy_helper

    random = np.random.default_rng(0)
    shape = (_CHANNELS, _CHANNELS, _KERNEL, _KERNEL)
    kernels = [random.normal(0, 0.05, shape).astype(np.float32) for _ in range(layers)]
    stored = [numpy_helper.from_array(kernel, f"w{at}") for at, kernel in enumerate(kernels)]
    nodes = [
        helper.make_node("Conv", [f"x{at}", f"w{at}"], [f"x{at + 1}"], pads=[_KERNEL // 2] * 4) for at in range(layers)
    ]
    return _model(nodes, stored, result=f"x{layers}")


def _int8_chain(layers: int) -> onnx.ModelProto:
    """QLinearConv with unsigned activations and signed weights, which has kernels on every CPU."""
    from onnx import helper, numpy_helper

    random = np.random.default_rng(0)
    shape = (_CHANNELS, _CHANNELS, _KERNEL, _KERNEL)
    scalars = {"scale": np.float32(0.02), "zero": np.uint8(128), "w_scale": np.float32(0.01), "w_zero": np.int8(0)}
    constants = {name: np.asarray(value) for name, value in scalars.items()}
    constants |= {f"w{at}": random.integers(-127, 128, shape).astype(np.int8) for at in range(layers)}
    stored = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    nodes = [helper.make_node("QuantizeLinear", ["x0", "scale", "zero"], ["q0"])]
    for at in range(layers):
        inputs = [f"q{at}", "scale", "zero", f"w{at}", "w_scale", "w_zero", "scale", "zero"]
        nodes.append(helper.make_node("QLinearConv", inputs, [f"q{at + 1}"], pads=[_KERNEL // 2] * 4))
    nodes.append(helper.make_node("DequantizeLinear", [f"q{layers}", "scale", "zero"], ["y"]))
    return _model(nodes, stored, result="y")


def _model(nodes: list[onnx.NodeProto], stored: list[onnx.TensorProto], *, result: str) -> onnx.ModelProto:
    from onnx import TensorProto, helper

    image, answer = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, list(IMAGE_SHAPE)) for name in ("x0", result)
    )
    graph = helper.make_graph(nodes, "probe", [image], [answer], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


class Probes:
    """A float32 and an int8 probe per number of threads; no probes if ONNX Runtime is not installed.

    Attributes:
        processes: one loaded process per probe.
        images: the input of each process, `(1, C, H, W)`.
    """

    def __init__(self, threads: Iterable[int]) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._keys: list[tuple[str, int]] = []
        self._peaks: dict[tuple[str, int], float] = {}  # multiply-adds per millisecond
        self._work: list[int] = []
        self.processes: list[RuntimeProcess] = []
        self.images: list[NDArray[np.float32]] = []
        probes = write_probes(Path(self._folder.name))
        for count in sorted(set(threads)):
            for kind, probe in probes.items():
                process = RuntimeProcess(probe.path, threads=count)
                try:
                    process.load()
                except RuntimeProcessError:
                    process.close()
                    continue
                self._keys.append((kind, count))
                self._work.append(probe.multiply_adds)
                self.processes.append(process)
                self.images.append(np.random.default_rng(0).random(IMAGE_SHAPE, np.float32))

    def note(self, outcomes: Sequence[Latency | RuntimeProcessError]) -> None:
        """Records the timings of `processes`, in their order."""
        for key, work, outcome in zip(self._keys, self._work, outcomes, strict=True):
            if isinstance(outcome, Latency):
                self._peaks[key] = work / outcome.min_ms

    def share(self, multiply_adds: int, latency: Latency, *, arithmetic: str, threads: int) -> float | None:
        """Share of the measured peak rate that a file reaches, 1 being the peak; None if the peak was not measured."""
        peak = self._peaks.get((peak_kind(arithmetic), threads))
        return multiply_adds / latency.min_ms / peak if peak else None

    def __enter__(self) -> Probes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes:
            process.close()
        self._folder.cleanup()
