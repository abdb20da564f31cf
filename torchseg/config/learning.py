"""Flags that say how networks learn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torchseg.config.choices import SCHEDULES
from torchseg.config.data_config import DataConfig
from torchseg.spec import nearest


@dataclass(frozen=True, kw_only=True)
class LearningConfig(DataConfig):
    """Flags that say how networks learn.

    Attributes:
        batch_size: Pictures a step, over all processes.
        learning_rate: Peak learning rate of AdamW.
        schedule: Of the learning rate, behind a warm-up: cosine, or stable, which is level and falls in the last fifth.
        loss: What the masks teach with: terms joined by +, each with a weight if wanted, e.g. focal+0.5*dice. There are
            cross_entropy, dice, focal, lovasz and tversky.
        class_weights: Weight of each class in the loss, separated by commas; or median_frequency, which lifts rare
            classes. Default: all alike.
        workers: Processes that read and augment pictures; 0 does it in the training process.
        out: Folder of the run. Default: runs/DATA.
        fresh: Forget what an earlier run left in --out and start over.
    """

    batch_size: int = 4
    learning_rate: float = 2e-3
    schedule: str = "cosine"
    loss: str = "cross_entropy+dice"
    class_weights: str = ""
    workers: int = 1
    out: Path | None = None
    fresh: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size < 2:
            raise ValueError(f"batch_size is {self.batch_size}; batch norm needs at least 2 pictures a step")
        if self.learning_rate <= 0:
            raise ValueError(f"learning_rate is {self.learning_rate}; give a positive number, e.g. 0.002")
        if self.schedule not in SCHEDULES:
            hint = nearest(self.schedule, SCHEDULES)
            raise ValueError(f"schedule is '{self.schedule}'{hint}; choose from {', '.join(SCHEDULES)}")
        if self.workers < 0:
            raise ValueError(f"workers is {self.workers}; give 0 or more processes")

    @property
    def run(self) -> Path:
        """Folder of the run."""
        return self.out or Path("runs") / self.data


def check_epochs(**epochs: int) -> None:
    """Raises ValueError naming the flag whose number of epochs is negative; 0 stands for the default."""
    for name, number in epochs.items():
        if number < 0:
            raise ValueError(f"{name} is {number}; give a number of epochs, or 0 for the default")


@dataclass(frozen=True, kw_only=True)
class TrainConfig(LearningConfig):
    """Trains one network with labels.

    Attributes:
        model: Network to train, or smp:ARCHITECTURE:ENCODER for any of segmentation_models_pytorch.
        model_arguments: What its builder takes, e.g. base_width=16,depth=4,batch_norm=false.
        epochs: Passes over the labelled pictures. Default: as many as make 640 steps on scenes, 1440 otherwise.
    """

    model: str = "small_unet"
    model_arguments: str = ""
    epochs: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_epochs(epochs=self.epochs)
