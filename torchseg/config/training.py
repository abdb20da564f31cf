"""Flags that say how networks learn, and how one listens to a teacher."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torchseg.config.base import SCHEDULES, Auto, DataConfig
from torchseg.spec import nearest

_MOST_WORKERS = 64


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
        training_precision: Arithmetic of the networks in training: fp32, bf16 (mixed precision), or auto: what the run
            was begun with, else bf16 where the machine computes in it. Weights are float32 either way.
        micro_batches: Parts of each batch that are learned from beside each other, each with its own batch statistics,
            or auto: 2 on the processor, 1 on a GPU and where several processes train.
        device: Where networks train: cpu, cuda, or auto: cuda where there is a GPU that PyTorch can use.
        workers: Processes that read and augment pictures; 0 does it in the training process.
        cache_gb: Gigabytes of disk for decoded pictures in the run's folder, or auto: half of what is free, at most 16.
        out: Folder of the run. Default: runs/DATA.
        fresh: Forget what an earlier run left in --out and start over.
    """

    batch_size: int = 4
    learning_rate: float = 2e-3
    schedule: str = "cosine"
    loss: str = "cross_entropy+dice"
    class_weights: str = ""
    training_precision: Literal["auto", "fp32", "bf16"] = "auto"
    micro_batches: Literal[1, 2, "auto"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: int = 1
    cache_gb: float | Auto = "auto"
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
        if not 0 <= self.workers <= _MOST_WORKERS:
            raise ValueError(f"workers is {self.workers}; give 0 to {_MOST_WORKERS} processes")
        if self.micro_batches == 2 and self.batch_size < 4:
            raise ValueError(f"micro_batches is 2 and batch_size {self.batch_size}; each half needs 2 pictures: give 1")
        if self.cache_gb != "auto" and not self.cache_gb >= 0:
            raise ValueError(f"cache_gb is {self.cache_gb}; give gigabytes, 0 to keep nothing, or auto")

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


@dataclass(frozen=True, kw_only=True)
class DistillationFlags:
    """Whose opinion counts how much.

    Attributes:
        temperature: Softening of both opinions in the distillation loss.
        alpha: Share of the teacher's opinion in the loss; the labels have the rest.
    """

    temperature: float = 1.0
    alpha: float = 0.5

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ValueError(f"temperature is {self.temperature}; give a positive number, e.g. 1 or 4")
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha is {self.alpha}; give a share in [0, 1], e.g. 0.8")
