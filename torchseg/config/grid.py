"""Flags of the `grid` command, and the `measure` section of a recipe."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from torchseg.config.base import CommonConfig
from torchseg.spec import nearest


@dataclass(frozen=True, kw_only=True)
class GridConfig(CommonConfig):
    """Trains, exports and measures every combination of a recipe's factors, and writes one table.

    Example:
        recipes/unet12.yaml --root data --jobs 2

    Attributes:
        recipe: YAML file with base flags and the factors with their levels, e.g. recipes/unet12.yaml.
        jobs: Number of trainings that run at the same time; they share the threads. Measurements never run in parallel.
        root: Folder of the data set, or its parent folder; overrides the recipe's.
        out: Folder of the grid. Default: runs/RECIPE.
        set: Changes to the recipe, e.g. --set image_size=32 "factors.epochs=[1, 2]" measure.pictures=5.
        fresh: Discard the results of an earlier call in --out and start over.
    """

    recipe: Path = field(metadata={"positional": ""})
    jobs: int = 1
    root: Path | None = None
    out: Path | None = None
    set: list[str] = field(default_factory=list, metadata={"nargs": "+", "type": str})
    fresh: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.jobs < 1:
            raise ValueError(f"jobs is {self.jobs}; run at least 1 training at a time")

    @property
    def run(self) -> Path:
        """Folder of the grid."""
        return self.out or Path("runs") / self.recipe.stem

    @property
    def threads_each(self) -> int:
        """Threads of each training: an equal share of all threads, at least 1."""
        return max(1, self.cores // self.jobs)


@dataclass(frozen=True, kw_only=True)
class MeasureConfig:
    """How a grid measures its files: the `measure` section of a recipe.

    Attributes:
        pictures: Number of test images that every file is timed on, one by one; accuracy uses the whole test split.
        classes: Classes that IoU and Dice are averaged over, separated by commas. Default: all that occur.
        with_tracemalloc: Run tracemalloc inside the timed region and report its peak as the memory. This reproduces a
            flaw of some published measurements. Default: time predictions alone, and report the process's peak memory.
        threads: Threads of each prediction.
        view: Name of the test image that figures/view.png shows. Default: the first.
    """

    pictures: int = 25
    classes: str = ""
    with_tracemalloc: bool = False
    threads: int = 1
    view: str = ""

    def __post_init__(self) -> None:
        if self.pictures < 1 or self.threads < 1:
            raise ValueError(f"pictures is {self.pictures} and threads {self.threads}; each must be at least 1")

    def class_indices(self, classes: tuple[str, ...]) -> list[int]:
        """Indices into `classes` of those to average over; raises ValueError for an unknown name."""
        names = [name.strip() for name in self.classes.split(",") if name.strip()]
        for name in names:
            if name not in classes:
                raise ValueError(f"classes names '{name}'{nearest(name, classes)}; the data has {', '.join(classes)}")
        return [classes.index(name) for name in names] or list(range(len(classes)))
