"""How much accuracy an exported file may lose, and which layers stay in float to keep within that budget."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tf_bridge.certify.parity import Parity
from tf_bridge.certify.verdict import MAX_DROP
from tf_bridge.conversion import MixedPrecisionWriter
from tf_bridge.mixed_precision.int8_or_float import AccuracyDrop, fewest_float_layers
from torchseg.harness.runtimes.process import RuntimeProcess
from torchseg.harness.scoring.latency import Latency, LatencyConfig, measure_latency
from torchseg.progress_bar import Progress

CERTIFIED_WITH = 64  # validation images, at most
BUDGETED_WITH = 256  # validation images, at most, if the user sets a budget
CLASS_SHARE = 4  # by default, any one class may lose this many times the mean's budget


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How much accuracy a dynamic or int8 file may lose, and on how many images that is measured.

    Attributes:
        drop: of mean IoU, as a share.
        class_drop: of the IoU of any one class, as a share; None sets no limit.
        pictures: number of validation images, at most.
        mixed: whether int8 files may keep layers in float to stay within the budget.
    """

    drop: float = MAX_DROP
    class_drop: float | None = None
    pictures: int = CERTIFIED_WITH
    mixed: bool = False

    @classmethod
    def of_points(cls, drop: float | None, class_drop: float | None) -> Budget:
        """From drops in percentage points of IoU, as the flags give them; the default budget if `drop` is None."""
        if drop is None:
            return cls()
        of_class = CLASS_SHARE * drop if class_drop is None else class_drop
        return cls(drop=drop / 100, class_drop=of_class / 100, pictures=BUDGETED_WITH, mixed=True)

    def share_used(self, parity: Parity) -> float:
        """The share of the budget that a file uses; it is within the budget up to 1."""
        of_mean = parity.miou_drop / self.drop
        return of_mean if self.class_drop is None else max(of_mean, parity.worst_class_drop / self.class_drop)


@dataclass(frozen=True, kw_only=True)
class FloatChoice:
    """The layers that stay in float, and what they cost in latency.

    Attributes:
        layers: their names.
        latency_ratio: latency of the mixed-precision file over that of the pure int8 file, from the minima of
            interleaved runs. None for an fp16 file: its weights are float32 once loaded, so float layers cost nothing.
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
    """Replaces the int8 file at `path`, which exceeds the budget, with one that keeps as few layers in float as needed.

    Args:
        mixed: writes mixed-precision files of the same network.
        path: the int8 file; not modified if no choice of layers meets the budget.
        measure: compares a file with the network.
        budget: to meet.
        image: float32 `(1, C, H, W)`, to time both files with.
    """
    known: dict[frozenset[str], AccuracyDrop] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        Progress(0, f"{path.name}: layers in float", unit="choice") as bar,
    ):
        trial = Path(folder) / path.name

        def loss(layers: frozenset[str]) -> AccuracyDrop:
            if layers not in known:
                mixed.write(trial, float_layers=layers)
                parity = measure(trial)
                known[layers] = AccuracyDrop(
                    budget_share=budget.share_used(parity), logit_error=parity.mean_abs_error or 0.0
                )
                bar.advance()
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
