"""The table of layer profilers, one per runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from torchseg.harness.measure.layer_profile import Profile

Image = NDArray[np.float32]


def profile_file(name: str, path: Path, image: Image, *, threads: int, repeats: int = 20) -> Profile:
    """Times each layer of a model file.

    Args:
        name: runtime, a key of `PROFILERS`.
        path: model file.
        image: one normalised image, `(1, C, H, W)`.
        threads: threads per prediction.
        repeats: recorded predictions; each layer gets its median time.

    Raises:
        ValueError: if this runtime has no profiler or cannot open the file.
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
