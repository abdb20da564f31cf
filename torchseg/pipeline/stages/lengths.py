"""How long trainings are: default numbers of optimizer steps, and the epochs that make them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torchseg.config import LearningConfig
from torchseg.data import GENERATED, BatchPlan
from torchseg.pipeline.run.dataset import Pictures


class DefaultFor(NamedTuple):
    """A default that depends on the data: generated scenes must finish in minutes, photos may take longer."""

    scenes: int
    photos: int

    def of(self, data: str) -> int:
        """The default for the data set of this name."""
        return self.scenes if data == GENERATED else self.photos


# Optimizer steps if the user gives no epochs. Students of scenes gain up to 960 steps; the lengths for photos were not
# tuned.
TEACHER_STEPS = DefaultFor(scenes=640, photos=1680)
STUDENT_STEPS = DefaultFor(scenes=960, photos=1440)
VIEWS = DefaultFor(scenes=2, photos=0)  # of a distillation


@dataclass(frozen=True)
class Lengths:
    """How long the trainings of one run are; known before its folder exists."""

    config: LearningConfig
    pictures: Pictures

    def epochs(self, wanted: int, *, steps: DefaultFor) -> int:
        """The epochs asked for; for 0, as many as make about `steps` optimizer steps."""
        return wanted or max(1, round(steps.of(self.config.data) / self.steps_per_epoch))

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in one pass over the labelled images."""
        return self.batch_plan().steps_per_epoch

    def batch_plan(self, *, transfer_ratio: float = 0.0, views: int = 0) -> BatchPlan:
        """Selects the images of each step; see `BatchPlan`."""
        return BatchPlan(
            labelled=len(self.pictures.train),
            batch_size=self.config.batch_size,
            seed=self.config.seed,
            transfer=(len(self.pictures.transfer) or len(self.pictures.train)) if transfer_ratio else 0,
            transfer_batch=self._transfer_batch(transfer_ratio),
            views=views,
        )

    def _transfer_batch(self, ratio: float) -> int:
        """Images without masks per step."""
        return max(1, round(ratio * self.config.batch_size)) if ratio else 0
