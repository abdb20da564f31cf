"""What a result was made with: command, machine and versions."""

from __future__ import annotations

import importlib.metadata
import platform
import shlex
import sys
from typing import Any

from torchseg.harness.host import cpu_name

ENVIRONMENT = "environment.json"
_PACKAGES = (
    "torchseg-compress",
    "torch",
    "torchvision",
    "lightning-fabric",
    "onnx",
    "onnxruntime",
    "tensorflow",
    "ai-edge-litert",
    "openvino",
)


def environment_record(cores: int) -> dict[str, Any]:
    """Plain values for `environment.json`; `cores` is how many this process computes with."""
    import torch

    return {
        "command": shlex.join(["python", *sys.argv]),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": cpu_name(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "cores": cores,
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
