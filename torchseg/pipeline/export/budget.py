"""How much accuracy an exported file may lose, and the layers that stay in float where it takes that."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from tf_bridge.certify.parity import MAX_DROP, Parity
from tf_bridge.conversion import MixedPrecisionWriter
from tf_bridge.mixed_precision.search import AccuracyDrop, fewest_float_layers
from torchseg.harness.runtimes.process import RuntimeProcess
from torchseg.harness.scoring.latency import Latency, LatencyConfig, measure_latency

CERTIFIED_WITH = 64  # validation pictures at most
BUDGETED_WITH = 256  # the same, where the user asks for a budget
CLASS_SHARE = 4  # a class may lose so many times the mean's budget, unless the user says otherwise


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a dynamic or int8 file may lose, and on how many pictures that is measured.

    Attributes:
        drop: of mean IoU, as a share.
        class_drop: of the IoU of any one class, as a share; None sets no limit.
        pictures: of the validation part, at most.
        mixed: whether int8 files may keep layers in float to hold it.
    """

    drop: float = MAX_DROP
    class_drop: float | None = None
    pictures: int = CERTIFIED_WITH
    mixed: bool = False

    @classmethod
    def of_points(cls, drop: float | None, class_drop: float | None) -> Budget:
        """From points of IoU, as the commands take them; the default budget for None."""
        if drop is None:
            return cls()
        of_class = CLASS_SHARE * drop if class_drop is None else class_drop
        return cls(drop=drop / 100, class_drop=of_class / 100, pictures=BUDGETED_WITH, mixed=True)

    def share_used(self, parity: Parity) -> float:
        """How much of the budget a file takes; it holds up to 1."""
        of_mean = parity.miou_drop / self.drop
        return of_mean if self.class_drop is None else max(of_mean, parity.worst_class_drop / self.class_drop)


@dataclass(frozen=True, kw_only=True)
class FloatChoice:
    """Layers in float, and the time of the file over that of one with none, minima of interleaved runs.

    Those of an fp16 file cost no time: its weights are float32 once it is loaded.
    """

    layers: tuple[str, ...] = ()
    latency_ratio: float | None = None


def choose_float_layers(
    mixed: MixedPrecisionWriter,
    path: Path,
    measure: Callable[[Path], Parity],
    budget: Budget,
    *,
    image: NDArray[np.float32],
) -> FloatChoice:
    """Replaces the int8 file at `path`, which breaks the budget, by one with as few layers in float as hold it.

    Args:
        mixed: the same network.
        path: stays as it is where no choice of layers holds the budget.
        measure: compares a file with the network.
        budget: to hold.
        image: to time both files with, `(1, C, H, W)`.
    """
    known: dict[frozenset[str], AccuracyDrop] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        tqdm(desc=f"{path.name}: layers in float", unit="choice", disable=None, dynamic_ncols=True) as bar,
    ):
        trial = Path(folder) / path.name

        def loss(layers: frozenset[str]) -> AccuracyDrop:
            if layers not in known:
                mixed.write(trial, float_layers=layers)
                parity = measure(trial)
                known[layers] = AccuracyDrop(
                    budget_share=budget.share_used(parity), logit_error=parity.mean_abs_error or 0.0
                )
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
