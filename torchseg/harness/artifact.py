"""A model file that is to be scored, and what is known about it beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torchseg.harness.runtime import CHECKPOINT_FILES


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One model file of a run.

    Attributes:
        path: a checkpoint's folder, a .onnx or a .tflite file.
        stage: that made its weights, e.g. `student`.
        format: `torch`, `onnx` or `tflite`.
        precision: of the file, e.g. `fp32`, `int8`.
        reference: folder of the checkpoint that it was exported from; None if unknown or if it is a
            checkpoint itself.
        runtime: that runs it, a key of `RUNTIMES`; None chooses by the kind of file.
        certified: whether its certificate holds; None if it has none.
    """

    path: Path
    stage: str
    format: str
    precision: str
    reference: Path | None = None
    certified: bool | None = None
    runtime: str | None = None

    @property
    def folder(self) -> Path:
        """Absolute folder of a checkpoint, also when `path` names a file in it; otherwise the file itself."""
        path = self.path.resolve()
        return path.parent if path.name in CHECKPOINT_FILES else path

    @property
    def reference_folder(self) -> Path | None:
        """Absolute folder of the checkpoint that this file is held against: a checkpoint's own."""
        if self.format == "torch":
            return self.folder
        if self.reference is None:
            return None
        path = self.reference.resolve()
        return path.parent if path.name in CHECKPOINT_FILES else path


@dataclass(frozen=True, kw_only=True)
class ScoreFailure:
    """A file that could not be scored, and why, in one sentence."""

    artifact: Artifact
    reason: str

    def __str__(self) -> str:
        return f"{self.artifact.path}: {self.reason}"
