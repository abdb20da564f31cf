"""A model file to be scored, and what is known about it beforehand."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torchseg.modelfile.kinds import CHECKPOINT_FILES
from torchseg.modelfile.model_file import ModelFile
from torchseg.modelfile.run_options import DEFAULT_OPTIONS, RunOptions
from torchseg.spec import ImageSpec


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One model file of a run.

    Attributes:
        path: a checkpoint's folder, an .onnx file or a .tflite file.
        stage: stage that made its weights, e.g. `student`.
        format: `torch`, `onnx` or `tflite`.
        precision: of the file, e.g. `fp32`, `int8`.
        reference: the checkpoint folder or model file that it was made from; None if that is unknown or the file is
            itself a checkpoint.
        certified: whether its certificate passed, in words if that is not all to say; None without a certificate.
        runtime: runtime to use, a key of `RUNTIMES`; None chooses by the kind of file.
        threads: threads per prediction; None uses the common setting.
        baseline: file to compare latency and accuracy with; None uses `reference`.
        spec: size and normalisation of its images if they differ from those of the other files.
        options: how to run a file that does not say it itself; its number of classes is always that of the data.
        file: what the file says of itself; read once, and handed on to every copy of the artifact.
    """

    path: Path
    stage: str
    format: str
    precision: str
    reference: Path | None = None
    certified: bool | str | None = None
    runtime: str | None = None
    threads: int | None = None
    baseline: Path | None = None
    spec: ImageSpec | None = None
    options: RunOptions = DEFAULT_OPTIONS
    file: ModelFile = field(default_factory=lambda: ModelFile(Path()), compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.file.path != self.path:  # not given, or `replace` has set another path
            object.__setattr__(self, "file", ModelFile(self.path))

    @property
    def folder(self) -> Path:
        """Absolute path of the file; for a checkpoint its folder, even if `path` names a file in it."""
        return _folder_of(self.path)

    @property
    def baseline_folder(self) -> Path | None:
        """Absolute path of the checkpoint folder or file to compare latency and accuracy with."""
        return self.reference_folder if self.baseline is None else _folder_of(self.baseline)

    @property
    def reference_folder(self) -> Path | None:
        """Absolute path of the checkpoint folder or file that this file was made from; a checkpoint's own folder."""
        if self.format == "torch":
            return self.folder
        return None if self.reference is None else _folder_of(self.reference)


@dataclass(frozen=True, kw_only=True)
class ScoreFailure:
    """A file that could not be scored, and the reason in one sentence."""

    artifact: Artifact
    reason: str

    def __str__(self) -> str:
        return f"{self.artifact.path}: {self.reason}"


def artifact_names(artifacts: Sequence[Artifact], out: Path) -> list[str]:
    """Name of each file in the tables: its path relative to the run folder, so that moving the run changes no name.

    A file outside the run folder gets its file name, plus as many parent folders as it takes to be unique.
    """
    paths = [Path(os.path.abspath(each.path)) for each in artifacts]  # not resolved: a link has its own name
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
    """Absolute path of the file; for a checkpoint its folder, even if `path` names a file in it."""
    path = path.resolve()
    return path.parent if path.name in CHECKPOINT_FILES else path
