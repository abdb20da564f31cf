"""Flags of the `students` command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torchseg.config.base import CommonConfig, choices, height_and_width
from torchseg.modelfile.kinds import FORMATS

_FEWEST_CLASSES, _MOST_CLASSES = 2, 255


@dataclass(frozen=True, kw_only=True)
class StudentsConfig(CommonConfig):
    """Measures how large and how fast each student is on this machine, before any training.

    Example:
        --size 128 --classes 3

    Attributes:
        size: Size of the images in pixels: N, or H,W.
        classes: Number of classes.
        formats: Formats to measure as int8 files, separated by commas: onnx, tflite.
        out: Folder for the table, the figure and the files. Default: runs/students.
        fresh: Discard earlier measurements in --out and start over.
        threads: Number of CPU threads that write the files; auto or 0 uses every core that this process may use.
            Latency is always that of one thread.
        seed: Seed for the weights, which are random.
    """

    size: str = "128"
    classes: int = 5
    formats: str = ",".join(FORMATS)
    out: Path | None = None
    fresh: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.height_and_width, self.kinds
        if not _FEWEST_CLASSES <= self.classes <= _MOST_CLASSES:
            raise ValueError(f"classes is {self.classes}; give {_FEWEST_CLASSES} to {_MOST_CLASSES}")

    @property
    def height_and_width(self) -> tuple[int, int]:
        """Height and width of the images, in pixels."""
        return height_and_width("size", self.size)

    @property
    def kinds(self) -> list[str]:
        """Formats to measure."""
        return choices("formats", self.formats, FORMATS)

    @property
    def run(self) -> Path:
        """Folder of the measurements."""
        return self.out or Path("runs") / "students"
