"""Opens model files in the runtimes of the table."""

from __future__ import annotations

from pathlib import Path

from torchseg.harness.runtimes.base import Runtime
from torchseg.harness.runtimes.table import RUNTIMES
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
    return RUNTIMES[name].new(threads)


def check_name(name: str) -> str:
    """Returns `name`; raises ValueError if there is no such runtime."""
    if name not in RUNTIMES:
        near, known = nearest(name, RUNTIMES), ", ".join(sorted(RUNTIMES))
        raise ValueError(f"there is no runtime '{name}'{near}; choose from {known}")
    return name
