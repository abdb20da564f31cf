"""Operator profiles for ONNX Runtime, from its own trace."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torchseg.harness.measure.layer_profile import LayerCost, Profile
from torchseg.harness.runtimes.onnxruntime import OnnxRuntime
from torchseg.record import json_in

_SUFFIX = "_kernel_time"
_WARMUP = 3


def profile_onnxruntime(path: Path, image: NDArray[np.float32], *, threads: int, repeats: int) -> Profile:
    """Times each node of the optimised graph for one image `(1, C, H, W)`, including copies between layouts."""
    runtime = OnnxRuntime(threads=threads)
    with tempfile.TemporaryDirectory() as folder:
        runtime.load(path, trace=Path(folder) / "trace")
        for _ in range(_WARMUP + repeats):
            runtime.predict(image)
        events = json_in(runtime.end_trace(), remedy="profile the file again")
    times: dict[str, list[float]] = defaultdict(list)
    nodes: dict[str, Mapping[str, Any]] = {}
    for event in events:
        if event.get("cat") == "Node" and str(event["name"]).endswith(_SUFFIX):
            name = str(event["name"]).removesuffix(_SUFFIX)
            times[name].append(float(event["dur"]) / 1e3)
            nodes[name] = event["args"]
    layers = [
        LayerCost(
            name=name, kind=str(nodes[name]["op_name"]), milliseconds=median(each[_WARMUP:]), note=_shape(nodes[name])
        )
        for name, each in times.items()
    ]
    return Profile(layers=layers, method="ONNX Runtime's own trace of whole predictions")


def _shape(node: Mapping[str, Any]) -> str:
    """Type and shape of the node's first output, e.g. `uint8 1x32x64x64`; empty if the trace does not give it."""
    try:
        (kind, sides), *_ = node["output_type_shape"][0].items()
    except (KeyError, IndexError, ValueError):
        return ""
    return f"{kind} {'x'.join(map(str, sides))}"
