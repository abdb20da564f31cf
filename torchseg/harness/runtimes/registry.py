"""The table of runtimes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from torchseg.harness.runtimes.base import Runtime
from torchseg.modelfile.kinds import check_readable, runtime_name
from torchseg.spec import nearest


def open_runtime(path: Path, *, name: str | None = None, threads: int = 1) -> Runtime:
    """Loads a model file into a runtime.

    Args:
        path: a checkpoint's folder or its `model.safetensors`, an `.onnx` file or a `.tflite` file.
        name: key of `RUNTIMES`; None chooses by the kind of file.
        threads: threads per prediction, at least 1.

    Raises:
        ValueError: if the file is missing, empty, damaged or of an unknown kind, or the runtime is unknown.
        ImportError: if the runtime is not installed; names the extra to install.
    """
    runtime = new_runtime(name or runtime_name(path), threads=threads)
    check_readable(path)
    runtime.load(path)
    return runtime


def new_runtime(name: str, *, threads: int) -> Runtime:
    """A runtime with its library imported and no file loaded; raises the same errors as `open_runtime`."""
    check_name(name)
    if threads < 1:
        raise ValueError(f"threads is {threads}; give at least 1")
    return RUNTIMES[name](threads)


def check_name(name: str) -> str:
    """Returns `name`; raises ValueError if there is no such runtime."""
    if name not in RUNTIMES:
        near, known = nearest(name, RUNTIMES), ", ".join(sorted(RUNTIMES))
        raise ValueError(f"there is no runtime '{name}'{near}; choose from {known}")
    return name


def _torch(threads: int) -> Runtime:
    from torchseg.harness.runtimes.torch import TorchRuntime

    return TorchRuntime(threads=threads)


def _onnxruntime(threads: int) -> Runtime:
    from torchseg.harness.runtimes.onnxruntime import OnnxRuntime

    return OnnxRuntime(threads=threads)


def _litert(threads: int) -> Runtime:
    from torchseg.harness.runtimes.litert import LitertRuntime

    return LitertRuntime(threads=threads)


def _openvino(threads: int) -> Runtime:
    from torchseg.harness.runtimes.openvino import OpenvinoRuntime

    return OpenvinoRuntime(threads=threads)


RUNTIMES: Mapping[str, Callable[[int], Runtime]] = {
    "torch": _torch,
    "onnxruntime": _onnxruntime,
    "litert": _litert,
    "openvino": _openvino,
}

OPENS: Mapping[str, Sequence[str]] = {
    "torch": ("torch",),
    "onnxruntime": ("onnx",),
    "litert": ("tflite",),
    "openvino": ("onnx",),
}
