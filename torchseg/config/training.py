"""Flags for training and distillation."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from torchseg.checks import check_ema, check_fold_count, check_positive
from torchseg.config.base import MODEL_NAMES, Auto, DataConfig, numbers
from torchseg.spec import GENERATED

_MOST_WORKERS = 64
_LEAST_PROGRESSIVE = 64  # pixels


@dataclass(frozen=True, kw_only=True)
class LearningConfig(DataConfig):
    """Flags for training.

    Attributes:
        batch_size: Labelled images per step, over all processes.
        learning_rate: Peak learning rate. Default: 0.005 on scenes, 0.002 otherwise.
        optimizer: adamw, adam, or sgd, which has momentum 0.9 and wants a larger learning rate.
        weight_decay: Weight decay of the optimizer, 0 for none.
        schedule: Learning rate schedule after the warm-up: cosine, or stable, which is constant and falls in the last
            fifth.
        loss: Loss on the masks: terms joined by +, each with an optional weight, e.g. focal+0.5*dice. Terms are
            cross_entropy, dice, focal, lovasz and tversky.
        class_weights: Weight of each class in the loss, separated by commas, or median_frequency, which raises the
            weight of rare classes. Default: all equal.
        crop: Crop of each random view: random, or rare, which draws several and takes the one that shows most of the
            rare classes.
        flip: random mirrors half of the random views from side to side; none mirrors no view, for classes that differ
            between left and right.
        training_precision: Precision of training: fp32, bf16 (mixed precision), or auto, which keeps what the run was
            started with, or takes bf16 if the hardware supports it. Weights are float32 either way.
        micro_batches: Number of micro-batches per batch, computed in parallel, each with its own batch norm statistics:
            1, 2, or auto, which is 2 on a CPU, and 1 on a GPU or with several training processes.
        device: Device to train on: cpu, cuda, or auto, which takes cuda if PyTorch can use a GPU.
        workers: Processes that load and augment images; 0 loads them in the training process.
        cache_gb: Gigabytes of disk for decoded images in the run's folder, or auto: half of the free space, at most 16.
        out: Folder of the run. Default: runs/DATA.
        fresh: Discard the results of an earlier run in --out and start over.
    """

    batch_size: int = 8
    learning_rate: float | None = None
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    weight_decay: float = 0.01
    schedule: str = "cosine"
    loss: str = "cross_entropy+dice"
    class_weights: str = ""
    crop: Literal["random", "rare"] = "random"
    flip: Literal["random", "none"] = "random"
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
            raise ValueError(f"batch_size is {self.batch_size}; batch norm needs at least 2 images per step")
        check_rates(learning_rate=self.learning_rate)
        if not 0 <= self.weight_decay < 1:
            raise ValueError(f"weight_decay is {self.weight_decay}; give a number in [0, 1), e.g. 0.01")
        if not 0 <= self.workers <= _MOST_WORKERS:
            raise ValueError(f"workers is {self.workers}; give 0 to {_MOST_WORKERS} processes")
        if self.micro_batches == 2 and self.batch_size < 4:
            raise ValueError(f"micro_batches is 2 and batch_size {self.batch_size}; each half needs 2 images: give 1")
        if self.cache_gb != "auto" and not self.cache_gb >= 0:
            raise ValueError(f"cache_gb is {self.cache_gb}; give gigabytes, 0 to keep nothing, or auto")

    @property
    def run(self) -> Path:
        """Folder of the run."""
        return self.out or Path("runs") / self.data

    @property
    def rate(self) -> float:
        """The peak learning rate: as given, or the default for the data set."""
        return self.learning_rate or (5e-3 if self.data == GENERATED else 2e-3)


def check_rates(**rates: float | None) -> None:
    """Raises a ValueError that names the flag if its learning rate is not positive; None means the default."""
    for name, rate in rates.items():
        if rate is not None:
            check_positive(name, rate, example="0.002")


def check_folds(folds: int, fold: str) -> None:
    """Raises ValueError unless the flags ask for one run, for one fold, or for a number of folds."""
    if not folds:
        return
    check_fold_count("folds", folds)
    if fold:
        raise ValueError(f"fold is {fold}, which is one of the folds that folds {folds} runs: drop one")


def check_epochs(**epochs: int) -> None:
    """Raises a ValueError that names the flag if its number of epochs is negative; 0 means the default."""
    for name, number in epochs.items():
        if number < 0:
            raise ValueError(f"{name} is {number}; give a number of epochs, or 0 for the default")


@dataclass(frozen=True, kw_only=True)
class FromStartConfig(LearningConfig):
    """Flags for networks that are trained from the start; recovery after compression does not have them.

    Attributes:
        ema: Decay per step of the moving average of the weights, in [0, 1); the averaged weights are validated and
            kept. 0 keeps the weights themselves.
        progressive: Share of the epochs, from the first, in which images have half their height and width, so that a
            step takes about a quarter of the time; in [0, 1).
    """

    ema: float = 0.99
    progressive: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ema(self.ema)
        if not 0 <= self.progressive < 1:
            raise ValueError(f"progressive is {self.progressive}; give a share of the epochs in [0, 1), e.g. 0.5")
        if self.progressive and min(self.size) < _LEAST_PROGRESSIVE:
            raise ValueError(
                f"progressive is {self.progressive}, but images of {self.size[0]}x{self.size[1]} are too small to be "
                f"halved: leave it out, or give an image_size of at least {_LEAST_PROGRESSIVE}"
            )


@dataclass(frozen=True, kw_only=True)
class NormalisationFlags:
    """Flags for the normalisation of images.

    Attributes:
        mean: Means of the channels for images in [0, 1], separated by commas, or one for all. Default: those of a
            pretrained network or given teacher; else ImageNet's for 3 channels and 0.5 for others.
        std: Standard deviations that go with --mean. Default: as for --mean; 0.25 for other than 3 channels.
    """

    mean: str = ""
    std: str = ""

    def __post_init__(self) -> None:
        if len(numbers("mean", self.mean)) != len(numbers("std", self.std)):
            raise ValueError(f"--mean is '{self.mean}' and --std '{self.std}'; give one number per channel in both")

    @property
    def normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Mean and standard deviation by channel, or one value for all; None if not given."""
        mean, std = numbers("mean", self.mean), numbers("std", self.std)
        return (mean, std) if mean else None


@dataclass(frozen=True, kw_only=True)
class TrainConfig(NormalisationFlags, FromStartConfig):
    """Trains one network with labels.

    Example:
        --data folder --root mine --model small_unet --out runs/mine

    Attributes:
        model: Network to train: {known}, smp:ARCHITECTURE:ENCODER, torchvision:NAME, timm:ENCODER or
            code:FILE:FUNCTION.
        model_arguments: Arguments of the network's builder, e.g. base_width=16,depth=4,batch_norm=false.
        epochs: Passes over the labelled images. Default: enough for 960 steps on scenes, 1440 otherwise.
        folds: Cross-validation, for few images: cut the images of --data folder into this many parts, train once for
            each, with that part as the test split, and show mean and spread. Default: one training.
    """

    model: str = field(default="small_unet", metadata={"known": MODEL_NAMES})
    model_arguments: str = ""
    epochs: int = 0
    folds: int = 0

    def __post_init__(self) -> None:
        FromStartConfig.__post_init__(self)
        NormalisationFlags.__post_init__(self)
        check_epochs(epochs=self.epochs)
        check_folds(self.folds, self.fold)
