"""Layer profiles for OpenVINO, from its own performance counters."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torchseg.harness.measure.layer_profile import LayerCost, Profile
from torchseg.harness.runtimes.openvino import OpenvinoRuntime

_WARMUP = 3


def profile_openvino(path: Path, image: NDArray[np.float32], *, threads: int, repeats: int) -> Profile:
    """Times each layer of the compiled graph for one image `(1, C, H, W)`, except layers that were optimised away."""
    runtime = OpenvinoRuntime(threads=threads)
    runtime.load(path, count_layers=True)
    for _ in range(_WARMUP):
        runtime.predict(image)
    times: dict[str, list[float]] = defaultdict(list)
    layers: dict[str, Any] = {}
    for _ in range(repeats):
        runtime.predict(image)
        for layer in runtime.layers():
            if layer.status == layer.EXECUTED:
                times[layer.node_name].append(layer.real_time.total_seconds() * 1e3)
                layers[layer.node_name] = layer
    return Profile(
        layers=[
            LayerCost(
                name=name, kind=layers[name].node_type, milliseconds=median(each), note=str(layers[name].exec_type)
            )
            for name, each in times.items()
        ],
        method="OpenVINO's own counters of whole predictions",
    )
