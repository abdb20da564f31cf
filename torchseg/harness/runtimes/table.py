"""The table of runtimes, one entry for each. Imports nothing heavy, so that flags can be read from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from torchseg.harness.measure.layer_profile import Profile
    from torchseg.harness.runtimes.base import Runtime


@dataclass(frozen=True, kw_only=True)
class RuntimeEntry:
    """An entry of the table.

    Attributes:
        title: name of the runtime in messages.
        new: imports its library and makes the runtime; takes the number of threads.
        formats: kinds of file that it opens: `torch`, `onnx`, `tflite` or `keras`.
        library: module that it imports.
        extra: extra of this package that installs the library; empty if it comes with the core.
        profile: times each layer; takes a file, an image `(1, C, H, W)`, the number of threads and of repeats. None if
            the runtime cannot.
    """

    title: str
    new: Callable[[int], Runtime]
    formats: tuple[str, ...]
    library: str
    extra: str = ""
    profile: Callable[[Path, NDArray[np.float32], int, int], Profile] | None = None


def _torch(threads: int) -> Runtime:
    from torchseg.harness.runtimes.torch import TorchRuntime

    return TorchRuntime(threads=threads)


def _profile_torch(path: Path, image: NDArray[np.float32], threads: int, repeats: int) -> Profile:
    from torchseg.harness.profiling.torch import profile_torch

    return profile_torch(path, image, threads=threads, repeats=repeats)


def _onnxruntime(threads: int) -> Runtime:
    from torchseg.harness.runtimes.onnxruntime import OnnxRuntime

    return OnnxRuntime(threads=threads)


def _profile_onnxruntime(path: Path, image: NDArray[np.float32], threads: int, repeats: int) -> Profile:
    from torchseg.harness.profiling.onnxruntime import profile_onnxruntime

    return profile_onnxruntime(path, image, threads=threads, repeats=repeats)


def _litert(threads: int) -> Runtime:
    from torchseg.harness.runtimes.litert import LitertRuntime

    return LitertRuntime(threads=threads)


def _profile_litert(path: Path, image: NDArray[np.float32], threads: int, repeats: int) -> Profile:
    from torchseg.harness.profiling.litert import profile_litert

    return profile_litert(path, threads=threads, repeats=repeats)


def _openvino(threads: int) -> Runtime:
    from torchseg.harness.runtimes.openvino import OpenvinoRuntime

    return OpenvinoRuntime(threads=threads)


def _profile_openvino(path: Path, image: NDArray[np.float32], threads: int, repeats: int) -> Profile:
    from torchseg.harness.profiling.openvino import profile_openvino

    return profile_openvino(path, image, threads=threads, repeats=repeats)


def _tensorflow(threads: int) -> Runtime:
    from torchseg.harness.runtimes.tensorflow import TensorflowRuntime

    return TensorflowRuntime(threads=threads)


RUNTIMES: dict[str, RuntimeEntry] = {
    "torch": RuntimeEntry(title="PyTorch", new=_torch, formats=("torch",), library="torch", profile=_profile_torch),
    "onnxruntime": RuntimeEntry(
        title="ONNX Runtime", new=_onnxruntime, formats=("onnx",), library="onnxruntime", profile=_profile_onnxruntime
    ),
    "litert": RuntimeEntry(
        title="LiteRT", new=_litert, formats=("tflite",), library="ai_edge_litert", extra="tf", profile=_profile_litert
    ),
    "openvino": RuntimeEntry(
        title="OpenVINO",
        new=_openvino,
        formats=("onnx",),
        library="openvino",
        extra="openvino",
        profile=_profile_openvino,
    ),
    "tensorflow": RuntimeEntry(
        title="TensorFlow", new=_tensorflow, formats=("keras",), library="tensorflow", extra="tf"
    ),
}
