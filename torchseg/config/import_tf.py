"""Flags of the `import_tf` command."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from torchseg.config.base import DataConfig
from torchseg.config.child_limits import ChildLimitFlags
from torchseg.config.foreign_file import mean_and_std


@dataclass(frozen=True, kw_only=True)
class ImportConfig(ChildLimitFlags, DataConfig):
    """Converts a TensorFlow model to ONNX, certifies it against the original, and adds both to a run for scoring.

    Example:
        model.keras --data folder --root mine --scaling 0-1 --out runs/imported

    Attributes:
        model: A .keras, .h5 or .tflite file, or the folder of a SavedModel.
        scaling: Pixel range that the model expects: 0-1, -1-1, imagenet (mean and standard deviation of ImageNet) or
            0-255.
        mean: Means of the channels for images in [0, 1], separated by commas, in place of --scaling; needs --std.
        std: Standard deviations of the channels, separated by commas, in place of --scaling; needs --mean.
        classes: Names of the model's classes in the order of its outputs. Default: those of the data set.
        name: Name of the model in tables and file names. Default: the file's name.
        out: Folder of the run: a new one, or one on the same data. Default: runs/DATA.
    """

    model: Path = field(metadata={"positional": ""})
    scaling: str = "0-1"
    mean: str = ""
    std: str = ""
    classes: str = ""
    name: str = ""
    out: Path | None = None

    def __post_init__(self) -> None:
        DataConfig.__post_init__(self)
        ChildLimitFlags.__post_init__(self)
        _ = self.mean_and_std
        if not self.stage:
            raise ValueError(f"name is '{self.name}'; give letters, digits, - and _")

    @property
    def mean_and_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation for images in [0, 1]: the network sees `(image / 255 - mean) / std`."""
        return mean_and_std(self.scaling, self.mean, self.std)

    @property
    def stage(self) -> str:
        """Name of the model in tables and file names."""
        return re.sub(r"[^\w-]+", "-", self.name or self.model.name.split(".")[0]).strip("-")

    @property
    def run(self) -> Path:
        """Folder of the run."""
        return self.out or Path("runs") / self.data
