"""A model file that is to be scored, and what is known about it beforehand."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torchseg.modelfile.kinds import CHECKPOINT_FILES
from torchseg.spec import ImageSpec


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One model file of a run.

    Attributes:
        path: a checkpoint's folder, a .onnx or a .tflite file.
        stage: that made its weights, e.g. `student`.
        format: `torch`, `onnx` or `tflite`.
        precision: of the file, e.g. `fp32`, `int8`.
        reference: folder of the checkpoint, or the model file, that it was made from; None if unknown or if it
            is a checkpoint itself.
        certified: whether its certificate holds; None if it has none.
        runtime: that runs it, a key of `RUNTIMES`; None chooses by the kind of file.
        threads: that compute one prediction; None takes what all files take.
        baseline: file whose time and accuracy its own are held against; None takes `reference`.
        spec: size and scaling of its pictures where they differ from those of the other files.
    """

    path: Path
    stage: str
    format: str
    precision: str
    reference: Path | None = None
    certified: bool | None = None
    runtime: str | None = None
    threads: int | None = None
    baseline: Path | None = None
    spec: ImageSpec | None = None

    @property
    def folder(self) -> Path:
        """Absolute folder of a checkpoint, also when `path` names a file in it; otherwise the file itself."""
        return _folder_of(self.path)

    @property
    def baseline_folder(self) -> Path | None:
        """Absolute folder of a checkpoint, or file, that its time is held against."""
        return self.reference_folder if self.baseline is None else _folder_of(self.baseline)

    @property
    def reference_folder(self) -> Path | None:
        """Absolute folder of the checkpoint, or file, that this file is held against: a checkpoint's own."""
        if self.format == "torch":
            return self.folder
        return None if self.reference is None else _folder_of(self.reference)


@dataclass(frozen=True, kw_only=True)
class ScoreFailure:
    """A file that could not be scored, and why, in one sentence."""

    artifact: Artifact
    reason: str

    def __str__(self) -> str:
        return f"{self.artifact.path}: {self.reason}"


def artifact_names(artifacts: Sequence[Artifact], out: Path) -> list[str]:
    """What the tables call each file: its path inside the run folder, so that none depends on where the run lies.

    A file from elsewhere goes by its name, with as many of its folders as tell it from the other files.
    """
    paths = [Path(os.path.abspath(each.path)) for each in artifacts]  # not resolved: a link is a name of its own
    return [_name(path, paths, out.resolve()) for path in paths]


def _name(path: Path, others: Sequence[Path], out: Path) -> str:
    if path.resolve().is_relative_to(out):
        name = path.resolve().relative_to(out)
    else:
        alike = [other for other in others if other != path]
        depths = range(1, len(path.parts))
        tails = (Path(*path.parts[-depth:]) for depth in depths)
        name = next((tail for tail in tails if not any(_ends_in(other, tail) for other in alike)), path)
    return (name / CHECKPOINT_FILES[0] if path.is_dir() else name).as_posix()


def _ends_in(path: Path, tail: Path) -> bool:
    return path.parts[-len(tail.parts) :] == tail.parts


def _folder_of(path: Path) -> Path:
    """Absolute folder of a checkpoint, also where `path` names a file in it; otherwise the file itself."""
    path = path.resolve()
    return path.parent if path.name in CHECKPOINT_FILES else path
