"""Leaves layers of an int8 file in float where the accuracy budget takes it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from tf_bridge.certify.parity import Parity
from tf_bridge.conversion import Mixed
from tf_bridge.mixed_precision.search import Loss, fewest_float_layers
from torchseg.harness.runtimes.process import RuntimeProcess
from torchseg.harness.scoring.latency import Latency, LatencyConfig, measure_latency
from torchseg.pipeline.export.budget import Budget


@dataclass(frozen=True, kw_only=True)
class FloatChoice:
    """Layers in float, and the time of the file over that of one with none, minima of interleaved runs.

    Those of an fp16 file cost no time: its weights are float32 once it is loaded.
    """

    layers: tuple[str, ...] = ()
    latency_ratio: float | None = None


def choose_float_layers(
    mixed: Mixed, path: Path, measure: Callable[[Path], Parity], budget: Budget, *, image: NDArray[np.float32]
) -> FloatChoice:
    """Replaces the int8 file at `path`, which breaks the budget, by one with as few layers in float as hold it.

    Args:
        mixed: the same network.
        path: stays as it is where no choice of layers holds the budget.
        measure: compares a file with the network.
        budget: to hold.
        image: to time both files with, `(1, C, H, W)`.
    """
    known: dict[frozenset[str], Loss] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        tqdm(desc=f"{path.name}: layers in float", unit="choice", disable=None, dynamic_ncols=True) as bar,
    ):
        trial = Path(folder) / path.name

        def loss(layers: frozenset[str]) -> Loss:
            if layers not in known:
                mixed.write(trial, float_layers=layers)
                parity = measure(trial)
                known[layers] = Loss(budget_share=budget.share_used(parity), logit_error=parity.mean_abs_error or 0.0)
                bar.update()
            return known[layers]

        layers = fewest_float_layers(mixed.layers, loss)
        if not layers:
            return FloatChoice()
        mixed.write(trial, float_layers=layers)
        ratio = _latency_ratio(trial, path, image)
        path.write_bytes(trial.read_bytes())
    return FloatChoice(layers=tuple(layers), latency_ratio=ratio)


def _latency_ratio(ours: Path, theirs: Path, image: NDArray[np.float32]) -> float:
    processes = [RuntimeProcess(path) for path in (ours, theirs)]
    try:
        for process in processes:
            process.load()
        results = measure_latency(processes, [image] * len(processes), LatencyConfig())
    finally:
        for process in processes:
            process.close()
    times = [each.min_ms for each in results if isinstance(each, Latency)]
    if len(times) != len(results):
        raise next(each for each in results if not isinstance(each, Latency))
    return round(times[0] / times[1], 3)
