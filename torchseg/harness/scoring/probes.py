"""The probes of the processor's peak, in processes of their own, to be timed in the same rounds as the files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from torchseg.harness.runtimes.process import RuntimeProcess, RuntimeProcessError
from torchseg.harness.scoring.latency import Latency
from torchseg.harness.scoring.peak import IMAGE_SHAPE, peak_kind, write_probes


class Probes:
    """A float32 and an int8 probe for each number of threads; none where ONNX Runtime is not installed.

    Attributes:
        processes: loaded, one per probe.
        images: what each of them takes, `(1, C, H, W)`.
    """

    def __init__(self, threads: Iterable[int]) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._keys: list[tuple[str, int]] = []
        self._peaks: dict[tuple[str, int], float] = {}  # multiply-adds per millisecond
        self._work: list[int] = []
        self.processes: list[RuntimeProcess] = []
        self.images: list[NDArray[np.float32]] = []
        probes = write_probes(Path(self._folder.name))
        for count in sorted(set(threads)):
            for kind, probe in probes.items():
                process = RuntimeProcess(probe.path, threads=count)
                try:
                    process.load()
                except RuntimeProcessError:
                    process.close()
                    continue
                self._keys.append((kind, count))
                self._work.append(probe.multiply_adds)
                self.processes.append(process)
                self.images.append(np.random.default_rng(0).random(IMAGE_SHAPE, np.float32))

    def note(self, outcomes: Sequence[Latency | RuntimeProcessError]) -> None:
        """Takes what timing gave for `processes`, in their order."""
        for key, work, outcome in zip(self._keys, self._work, outcomes, strict=True):
            if isinstance(outcome, Latency):
                self._peaks[key] = work / outcome.min_ms

    def share(self, multiply_adds: int, latency: Latency, *, arithmetic: str, threads: int) -> float | None:
        """Share of the peak that a file reaches; None if that was not measured."""
        peak = self._peaks.get((peak_kind(arithmetic), threads))
        return multiply_adds / latency.min_ms / peak if peak else None

    def __enter__(self) -> Probes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes:
            process.close()
        self._folder.cleanup()
