"""Where the time of one prediction goes, layer by layer, and the table of profilers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """One layer as the runtime runs it; what it fused into one is one layer.

    Attributes:
        name: of the layer, or of what it writes.
        kind: of operator, e.g. `Conv`.
        milliseconds: median over predictions.
        note: what else the runtime says: number format, kernel, shape, or that no fast path took it.
    """

    name: str
    kind: str
    milliseconds: float
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """All layers of a file in the order in which they run.

    Attributes:
        layers: with their times.
        method: how the times were taken, in one sentence.
        fast: share of the operators that the fast path took, in [0, 1]; None where there is no such distinction.
    """

    layers: Sequence[LayerCost]
    method: str
    fast: float | None = None

    @property
    def total_ms(self) -> float:
        """Of all layers."""
        return sum(layer.milliseconds for layer in self.layers)

    def costliest(self, count: int = 10) -> list[LayerCost]:
        """The layers that take longest, longest first."""
        return sorted(self.layers, key=lambda layer: -layer.milliseconds)[:count]


def profile_file(name: str, path: Path, image: Image, *, threads: int, repeats: int = 20) -> Profile:
    """Times every layer of a file.

    Args:
        name: of the runtime.
        path: of the file.
        image: normalised, `(1, C, H, W)`.
        threads: that compute one prediction.
        repeats: predictions whose median is taken.

    Raises:
        ValueError: if this runtime has no profiler, or does not open the file.
    """
    if name not in PROFILERS:
        raise ValueError(f"there is no profiler for {name}; choose a file for {', '.join(sorted(PROFILERS))}")
    return PROFILERS[name](path, image, threads, repeats)


def _onnxruntime(path: Path, image: Image, threads: int, repeats: int) -> Profile:
    from torchseg.harness.profiling.onnxruntime import profile_onnxruntime

    return profile_onnxruntime(path, image, threads=threads, repeats=repeats)


def _litert(path: Path, image: Image, threads: int, repeats: int) -> Profile:
    from torchseg.harness.profiling.litert import profile_litert

    return profile_litert(path, threads=threads, repeats=repeats)


def _openvino(path: Path, image: Image, threads: int, repeats: int) -> Profile:
    from torchseg.harness.profiling.openvino import profile_openvino

    return profile_openvino(path, image, threads=threads, repeats=repeats)


def _torch(path: Path, image: Image, threads: int, repeats: int) -> Profile:
    from torchseg.harness.profiling.torch import profile_torch

    return profile_torch(path, image, threads=threads, repeats=repeats)


PROFILERS: Mapping[str, Callable[[Path, Image, int, int], Profile]] = {
    "onnxruntime": _onnxruntime,
    "litert": _litert,
    "openvino": _openvino,
    "torch": _torch,
}
