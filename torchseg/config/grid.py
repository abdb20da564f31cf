"""Flags of a grid, and what a recipe says about measuring."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from torchseg.config.base import CommonConfig
from torchseg.spec import nearest


@dataclass(frozen=True, kw_only=True)
class GridConfig(CommonConfig):
    """Trains, exports and measures every combination of a recipe's factors, as one table.

    Attributes:
        recipe: YAML file with a base of ordinary flags and the factors with their levels, e.g. recipes/unet12.yaml.
        jobs: Trainings at a time; the threads are shared out among them. Files are measured one training at a time.
        root: The data set's folder, or the folder that holds it; in place of the recipe's.
        out: Folder of the grid. Default: runs/ and the recipe's name.
        set: Changes to the recipe, e.g. --set image_size=32 "factors.epochs=[1, 2]" measure.pictures=5.
        fresh: Forget what an earlier call left in --out and start over.
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
        """Threads of one training: its share of those that there are."""
        return max(1, self.cores // self.jobs)


@dataclass(frozen=True, kw_only=True)
class MeasureConfig:
    """How the files of a grid are measured: the part `measure` of a recipe.

    Attributes:
        pictures: Test pictures that every file is timed on, one by one; the whole part counts for its accuracy.
        classes: Classes that IoU and Dice are averaged over, separated by commas. Default: all that occur.
        with_tracemalloc: Let tracemalloc run inside the timed region, and call the peak that it sees the memory:
            what published measurements do that know no better. Default: times of predictions alone, and the peak
            memory of the process.
        threads: Threads that compute a prediction.
        view: Test picture that figures/view.png shows. Default: the first.
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
        """Which of these classes count; raises ValueError for a name that is not among them."""
        names = [name.strip() for name in self.classes.split(",") if name.strip()]
        for name in names:
            if name not in classes:
                raise ValueError(f"classes names '{name}'{nearest(name, classes)}; the data has {', '.join(classes)}")
        return [classes.index(name) for name in names] or list(range(len(classes)))
