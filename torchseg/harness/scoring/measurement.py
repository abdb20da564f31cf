"""The state and the measurements of one file while it is scored."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from torchseg.harness.measure.pixel_counts import MetricAccumulator
from torchseg.harness.measure.weights import WeightCount
from torchseg.harness.runtimes.base import RuntimeInfo
from torchseg.harness.runtimes.process import RuntimeProcess, RuntimeProcessError
from torchseg.harness.scoring.artifact import Artifact
from torchseg.harness.scoring.latency import Latency, LatencyRatio
from torchseg.metrics import MiouDifference
from torchseg.modelfile.model_file import ModelFile
from torchseg.spec import ImageSpec

Result = TypeVar("Result")
TEST = "test"
"""The split of images that no training saw. Tables of version 0.2 and before are of it, without saying so."""
_log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Measured:
    """One artifact, its process and its measurements so far; a file with a `reason` failed and is done."""

    artifact: Artifact
    name: str  # value in the column `artifact`
    key: str  # unique among the rows: the name, plus runtime and threads if the name is not unique
    spec: ImageSpec  # of the images that the file takes
    threads: int
    accumulator: MetricAccumulator  # shared by rows that differ only in threads
    process: RuntimeProcess | None = None
    reason: str = ""
    size_bytes: int | None = None
    gzip_bytes: int | None = None
    zstd_bytes: int | None = None
    sha256: str = ""
    load_ms: float | None = None
    latency: Latency | None = None
    baseline: str = ""  # key of the file that `ratio` and `difference` refer to
    ratio: LatencyRatio | None = None
    difference: MiouDifference | None = None
    peak_rss_mb: float | None = None
    peak_share: float | None = None  # share of the CPU's measured peak
    info: RuntimeInfo | None = None
    weights: WeightCount | None = None
    multiply_adds: int | None = None
    split: str = TEST  # that the images are from
    output_kind: str = ""  # what the file's values were taken for

    def close(self) -> None:
        """Ends the process, if there is one."""
        if self.process is not None:
            self.process.close()


def start_measured(measured: Measured) -> None:
    """Records the file's size and hash and starts its process; sets `reason` if it cannot."""
    artifact = measured.artifact
    try:
        measured.size_bytes = artifact.file.size_bytes
        measured.sha256 = sha256_of_parts(artifact.file)
        options = replace(artifact.options, classes=measured.spec.num_classes)
        measured.process = RuntimeProcess(
            artifact.path, name=artifact.runtime, threads=measured.threads, options=options
        )
    except ValueError as error:
        measured.reason = str(error)


def wait_for_measured(measured: Measured) -> None:
    """Waits until the process has imported its library; load times would be too long while other processes import."""
    _noting_failure(measured, lambda process: process.ready())


def load_measured(measured: Measured) -> None:
    """Loads the file in its process and records the load time."""
    measured.load_ms = _noting_failure(measured, lambda process: process.load())


def inspect_measured(measured: Measured) -> None:
    """Records memory, conditions, weights and multiply-adds; memory comes first because reading the weights takes some.

    A file whose weights cannot be read is still scored, without those numbers.
    """
    if measured.process is None or measured.reason:
        return
    spec = measured.spec
    try:
        measured.peak_rss_mb = measured.process.peak_rss_mb()
        measured.info = measured.process.describe()
    except RuntimeProcessError as failure:
        measured.reason = str(failure)
        return
    try:
        measured.weights = measured.process.count_weights()
        measured.multiply_adds = measured.process.multiply_adds((1, spec.channels, spec.height, spec.width))
    except RuntimeProcessError as failure:
        _log.warning("%s: its weights cannot be read (%s)", measured.name, failure)


def note_output(measured: Measured) -> None:
    """Records what the file's values were taken for, and which output was read; complete after the last image."""
    measured.output_kind = _noting_failure(measured, lambda process: process.output_kind()) or ""
    measured.info = _noting_failure(measured, lambda process: process.describe()) or measured.info


def _noting_failure(measured: Measured, work: Callable[[RuntimeProcess], Result]) -> Result | None:
    """Result of `work` on the file's process; None if there is no process or it fails, which sets `reason`."""
    if measured.process is not None and not measured.reason:
        try:
            return work(measured.process)
        except RuntimeProcessError as failure:
            measured.reason = str(failure)
    return None


def sha256_of_parts(file: ModelFile) -> str:
    """Hash of the files' contents, one after the other: the model file, then its external data if there is any."""
    if len(file.parts) == 1:
        return file.sha256
    digest = hashlib.sha256()
    for part in file.parts:
        with part.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
