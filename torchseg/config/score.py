"""Flags of the `score`, `predict` and `report` commands."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from torchseg.config.base import Auto, CommonConfig, DataConfig, TargetName, choices, height_and_width, low_and_high
from torchseg.config.child_limits import ChildLimitFlags
from torchseg.config.foreign_file import ForeignFileFlags
from torchseg.harness.runtimes.table import RUNTIMES


@dataclass(frozen=True, kw_only=True)
class ScoreConfig(ChildLimitFlags, ForeignFileFlags, DataConfig):
    """Measures accuracy and latency of model files on labelled images: all files of a run, or any files.

    Example:
        runs/mine
    Example:
        runs/mine --on_split train --out runs/mine_train

    Attributes:
        files: Folder of a run, or model files from anywhere: .onnx, .tflite, checkpoint folders.
        against: Reference model file; the latency and accuracy of the others are compared with it.
        runtimes: Runtimes to score in, separated by commas: {known}. Default: the native one of each file format.
        thread_counts: Thread counts to time each file with, separated by commas, e.g. 1,2. Default: --threads.
        jobs: Number of files whose accuracy is measured in parallel, after all were timed; auto: one per core.
        on_split: Split of the data set to score on. Scores and precision-recall curves of train or validation are no
            test results: they need a folder of their own, --out, and every table and heading there names the split.
        explain: Show the latency of this model file layer by layer and what makes it slow; scores nothing.
        data: Data set to score on, as for training. Default: that of the run that the files belong to.
        root: Folder of the data set, or its parent folder. Default, without --data: where the run had it.
        image_size: Size to score at, in pixels: N, or H,W. Default: that of the run; with --data, the largest that the
            files take.
        out: Folder for the tables and the report. Default: the run's, or runs/scores.
    """

    files: list[Path] = field(default_factory=list, metadata={"positional": "*"})
    against: Path | None = None
    runtimes: str = field(default="", metadata={"known": RUNTIMES})
    thread_counts: str = ""
    jobs: int | Auto = "auto"
    on_split: Literal["train", "validation", "test"] = "test"
    explain: Path | None = None
    data: str = ""
    out: Path | None = None

    def __post_init__(self) -> None:
        DataConfig.__post_init__(self)
        ForeignFileFlags.__post_init__(self)
        ChildLimitFlags.__post_init__(self)
        _ = self.runtime_list, self.thread_list
        if self.on_split != "test" and self.out is None and self.explain is None:
            raise ValueError(
                f"on_split is {self.on_split}, and the tables of a run are those of its test split; give these scores "
                f"a folder of their own, e.g. --out runs/scores_{self.on_split}"
            )
        if self.jobs != "auto" and self.jobs < 1:
            raise ValueError(f"jobs is {self.jobs}; count at least 1 file at a time, or give auto")

    @property
    def runtime_list(self) -> list[str]:
        """The requested runtimes; empty to use the native one of each file format."""
        return choices("runtimes", self.runtimes, tuple(RUNTIMES)) if self.runtimes else []

    @property
    def thread_list(self) -> list[int]:
        """Thread counts to time with; never empty."""
        texts = [text.strip() for text in self.thread_counts.split(",") if text.strip()]
        if not all(text.isdecimal() and int(text) > 0 for text in texts):
            raise ValueError(f"thread_counts is '{self.thread_counts}'; give numbers above 0, e.g. 1,2")
        return list(dict.fromkeys(int(text) for text in texts)) or [self.cores]


@dataclass(frozen=True, kw_only=True)
class PredictConfig(ChildLimitFlags, ForeignFileFlags, CommonConfig):
    """Predicts masks for images with any model file.

    Example:
        runs/mine/artifacts/student.int8.tflite PHOTO.jpg --out masks

    Attributes:
        model: A checkpoint folder, or an .onnx or .tflite file; one that no run of this project made needs --scaling.
        images: Image files, or folders of images.
        out: Folder for the masks.
        truth: True mask of the image, or a folder with a PNG mask named after each image; adds errors and scores.
        compare: Further model files; shows all predictions side by side and where they differ.
        tiles: Predict at full resolution in overlapping tiles of the network's input size, instead of resizing images.
        image_size: Input size, N or H,W in pixels, for a file from another tool that takes any size.
        value_range: Values LOW,HIGH of the images that become black and white, if they are not 8-bit. Default: those of
            the images that the model was trained on, or the whole range of 16 bits, or 0,1 for floats.
        exif: apply turns images as their EXIF orientation says; ignore reads the pixels as stored.
        classes: Names of the classes of a file from another tool, separated by commas, or their number. Default: as
            many as its output has.
    """

    model: Path = field(metadata={"positional": ""})
    images: list[Path] = field(metadata={"positional": "+"})
    out: Path = Path("masks")
    truth: Path | None = None
    compare: list[Path] = field(default_factory=list, metadata={"nargs": "+"})
    tiles: bool = False
    image_size: str = ""
    value_range: str = ""
    exif: Literal["apply", "ignore"] = "apply"
    classes: str = ""

    def __post_init__(self) -> None:
        CommonConfig.__post_init__(self)
        ForeignFileFlags.__post_init__(self)
        ChildLimitFlags.__post_init__(self)
        _ = self.size, self.values

    @property
    def values(self) -> tuple[float, float] | None:
        """`value_range`, parsed; None if not given."""
        return low_and_high(self.value_range)

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width from `image_size`, in pixels; None if not given."""
        return height_and_width("image_size", self.image_size) if self.image_size else None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names from `classes`, `class_0` and so on for a number; empty if not given."""
        if self.classes.strip().isdecimal():
            return tuple(f"class_{index}" for index in range(int(self.classes)))
        return tuple(name.strip() for name in self.classes.split(",") if name.strip())


@dataclass(frozen=True, kw_only=True)
class ReportConfig(CommonConfig):
    """Rebuilds report.html and the figures of a run.

    Example:
        runs/mine --target browser

    Attributes:
        run: Folder of a run, e.g. runs/scenes.
        target: Where the files will run, which decides the one that the report recommends: phone, server-cpu, browser,
            or smallest. Default: that of the run; else phone if it has TFLite files, server-cpu if not.
    """

    run: Path = field(metadata={"positional": ""})
    target: TargetName | None = None
