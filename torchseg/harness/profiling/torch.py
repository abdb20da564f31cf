"""Layer profiles for a checkpoint in PyTorch, timed by forward hooks before and after each layer."""

from __future__ import annotations

import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torchseg.harness.measure.layer_profile import LayerCost, Profile

_WARMUP = 3


def profile_torch(path: Path, image: NDArray[np.float32], *, threads: int, repeats: int) -> Profile:
    """Times each leaf module for one image `(1, C, H, W)`; operations between modules (add, concat) are left out."""
    import torch

    from torchseg.checkpoint import load_checkpoint

    torch.set_num_threads(threads)
    model, _ = load_checkpoint(path)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    batch = torch.from_numpy(image).to(memory_format=torch.channels_last)
    begun: dict[str, float] = {}
    times: dict[str, list[float]] = defaultdict(list)
    kinds: dict[str, str] = {}

    def watch(name: str, module: torch.nn.Module) -> None:
        def begin(*_: Any) -> None:
            begun[name] = time.perf_counter()

        def end(*_: Any) -> None:
            times[name].append((time.perf_counter() - begun[name]) * 1e3)

        kinds[name] = type(module).__name__
        module.register_forward_pre_hook(begin)
        module.register_forward_hook(end)

    for name, module in model.named_modules():
        if not list(module.children()):
            watch(name, module)
    with torch.inference_mode():
        for _ in range(_WARMUP + repeats):
            model(batch)
    layers = [
        LayerCost(name=name, kind=kinds[name], milliseconds=median(each[_WARMUP:])) for name, each in times.items()
    ]
    return Profile(layers=layers, method="a clock around every layer of whole predictions")
