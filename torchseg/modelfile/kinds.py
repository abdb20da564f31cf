"""Kinds of model files and the runtime for each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

CHECKPOINT_FILES = ("model.safetensors", "card.json")
_RUNTIMES = {"onnx": "onnxruntime", "tflite": "litert", "keras": "tensorflow"}  # of each format of exported files
FORMATS = ("onnx", "tflite")
"""The formats to run a network in, which exports write by default; each is also the ending of its files."""
ALL_FORMATS = tuple(_RUNTIMES)
"""The formats of exported files, with that for going on in Keras."""
FLOAT_FORMATS = ("keras",)
"""The formats whose files are fp32 alone."""
EXPORT_SUFFIXES = tuple(f".{kind}" for kind in ALL_FORMATS)
BY_SUFFIX: Mapping[str, str] = {".safetensors": "torch", **{f".{kind}": name for kind, name in _RUNTIMES.items()}}


def runtime_name(path: Path) -> str:
    """Name of the runtime for a model file; raises ValueError if the kind of file is unknown."""
    if path.is_dir() or path.name in CHECKPOINT_FILES:
        return "torch"
    if path.suffix in BY_SUFFIX:
        return BY_SUFFIX[path.suffix]
    raise ValueError(
        f"{path} is not a model file; give a checkpoint's folder or a file that ends in {', '.join(sorted(BY_SUFFIX))}"
    )


def kind_of(path: Path) -> str:
    """`torch` for a checkpoint, `onnx`, `tflite` or `keras`; raises ValueError if the kind of file is unknown."""
    return "torch" if runtime_name(path) == "torch" else path.suffix[1:]


def check_readable(path: Path) -> None:
    """Raises ValueError if there is nothing at this path, or an empty file."""
    if not path.exists():
        raise ValueError(f"there is no file {path}; check the path, or export the model again")
    if path.is_file() and path.stat().st_size == 0:
        raise ValueError(f"{path} is empty; export the model again")


TARGET_FORMATS = {"phone": ("tflite",), "server-cpu": ("onnx",), "browser": ("onnx",), "smallest": ("onnx", "tflite")}
"""Where a file can be meant to run, and the formats that run there."""
