"""Flags of the commands that measure and show."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from torchseg.config.base import RUNTIME_NAMES, Auto, CommonConfig, DataConfig, choices, numbers


@dataclass(frozen=True, kw_only=True)
class ScoreConfig(DataConfig):
    """Scores model files side by side on pictures with masks: all files of a run, or any files.

    Attributes:
        files: Folder of a run, or model files from anywhere: .onnx, .tflite, folders of checkpoints.
        against: Model file that the time and the accuracy of the others are held against.
        runtimes: Runtimes to run the files in, separated by commas: torch, onnxruntime, litert, openvino. Default: the
            one made for each kind of file.
        thread_counts: Numbers of threads to time each file at, separated by commas, e.g. 1,2. Default: --threads.
        jobs: Files whose answers are counted at a time, once all are timed; auto: one per core.
        explain: Model file whose time is shown layer by layer, with what makes it slow; nothing is scored then.
        data: Data set to score on, as for training. Default: that of the run that the files belong to.
        mean: Means of the colours that a file of another tool takes off, scaled to [0, 1], separated by commas.
        std: What it divides the colours by then, separated by commas.
        out: Folder for the tables and the report. Default: the run's, or runs/scores.
    """

    files: list[Path] = field(default_factory=list, metadata={"positional": "*"})
    against: Path | None = None
    runtimes: str = ""
    thread_counts: str = ""
    jobs: int | Auto = "auto"
    explain: Path | None = None
    data: str = ""
    mean: str = ""
    std: str = ""
    out: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.runtime_list, self.thread_list
        if self.jobs != "auto" and self.jobs < 1:
            raise ValueError(f"jobs is {self.jobs}; count at least 1 file at a time, or give auto")
        if len(self.mean_values) != len(self.std_values):
            raise ValueError(f"--mean is '{self.mean}' and --std '{self.std}'; give one number per colour in both")

    @property
    def runtime_list(self) -> list[str]:
        """Runtimes that were asked for; empty for the one made for each kind of file."""
        return choices("runtimes", self.runtimes, RUNTIME_NAMES) if self.runtimes else []

    @property
    def thread_list(self) -> list[int]:
        """Numbers of threads, at least one."""
        texts = [text.strip() for text in self.thread_counts.split(",") if text.strip()]
        if not all(text.isdecimal() and int(text) > 0 for text in texts):
            raise ValueError(f"thread_counts is '{self.thread_counts}'; give numbers above 0, e.g. 1,2")
        return list(dict.fromkeys(int(text) for text in texts)) or [self.cores]

    @property
    def mean_values(self) -> tuple[float, ...]:
        """One per colour; empty if not given."""
        return numbers("mean", self.mean)

    @property
    def std_values(self) -> tuple[float, ...]:
        """One per colour; empty if not given."""
        return numbers("std", self.std)


@dataclass(frozen=True, kw_only=True)
class PredictConfig(CommonConfig):
    """Paints masks for pictures with any model file.

    Attributes:
        model: A checkpoint's folder, or an .onnx or .tflite file of a run.
        images: Pictures, or folders of pictures.
        out: Folder for the masks.
        truth: The picture's true mask, or the folder with a PNG mask of each picture's name: shows errors and scores.
        compare: Further model files: shows all of them side by side and where they differ.
        tiles: Read pictures at their own scale in overlapping tiles of the network's size, instead of resizing them.
    """

    model: Path = field(metadata={"positional": ""})
    images: list[Path] = field(metadata={"positional": "+"})
    out: Path = Path("masks")
    truth: Path | None = None
    compare: list[Path] = field(default_factory=list, metadata={"nargs": "+"})
    tiles: bool = False


@dataclass(frozen=True, kw_only=True)
class ReportConfig(CommonConfig):
    """Builds report.html and the figures of a run again.

    Attributes:
        run: Folder of a run, e.g. runs/scenes.
    """

    run: Path = field(metadata={"positional": ""})
