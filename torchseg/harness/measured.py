"""What is known about one file while it is scored."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from torchseg.harness.artifact import Artifact
from torchseg.harness.latency import Latency
from torchseg.harness.latency_ratio import LatencyRatio
from torchseg.harness.process import RuntimeProcess, RuntimeProcessError
from torchseg.harness.runtime import RuntimeInfo
from torchseg.harness.size import files_of, gzip_bytes, size_bytes
from torchseg.harness.weights_in import WeightCount
from torchseg.metrics import BoundaryCounts, Counts


@dataclass(kw_only=True)
class Measured:
    """One artifact, its process, and its measurements as they come in; `reason` ends them."""

    artifact: Artifact
    counts: Counts  # (K, K), rows are the truth
    process: RuntimeProcess | None = None
    reason: str = ""
    size_bytes: int | None = None
    gzip_bytes: int | None = None
    sha256: str = ""
    load_ms: float | None = None
    latency: Latency | None = None
    ratio: LatencyRatio | None = None  # to the checkpoint that it was exported from
    peak_rss_mb: float | None = None
    info: RuntimeInfo | None = None
    weights: WeightCount | None = None
    agreeing: int = 0  # pixels whose class equals the reference's
    compared: int = 0  # pixels held against the reference
    boundary: BoundaryCounts | None = None
    image_miou: list[float] = field(default_factory=list)  # in the order of the samples

    @property
    def agreement(self) -> float | None:
        """Share of pixels whose class equals the reference's; None if nothing was compared."""
        return self.agreeing / self.compared if self.compared else None

    def close(self) -> None:
        """Ends the process, if there is one."""
        if self.process is not None:
            self.process.close()


def open_measured(artifact: Artifact, *, num_classes: int, threads: int) -> Measured:
    """Notes the file's size and starts its process; a reason in the result tells why it could not."""
    measured = Measured(artifact=artifact, counts=np.zeros((num_classes, num_classes), np.int64))
    try:
        measured.size_bytes = size_bytes(artifact.path)
        measured.gzip_bytes = gzip_bytes(artifact.path)
        measured.sha256 = _sha256(files_of(artifact.path))
        measured.process = RuntimeProcess(artifact.path, name=artifact.runtime, threads=threads)
    except ValueError as error:
        measured.reason = str(error)
    return measured


def load_measured(measured: Measured) -> None:
    """Loads the file in its process and notes how long that took."""
    if measured.process is None or measured.reason:
        return
    try:
        measured.load_ms = measured.process.load()
    except RuntimeProcessError as failure:
        measured.reason = str(failure)


def inspect_measured(measured: Measured) -> None:
    """Notes memory, conditions and weights, in this order: looking at the weights takes memory itself."""
    if measured.process is None or measured.reason:
        return
    try:
        measured.peak_rss_mb = measured.process.peak_rss_mb()
        measured.info = measured.process.describe()
        measured.weights = measured.process.count_weights()
    except RuntimeProcessError as failure:
        measured.reason = str(failure)


def _sha256(parts: list[Path]) -> str:
    """Of the file; of file and external data one after the other where there is any."""
    digest = hashlib.sha256()
    for part in parts:
        with part.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
