"""What one training of the pipeline is: its network, where it starts, and what it learns from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from torchseg.checkpoint import Card
from torchseg.train import Callback, FitConfig, NoCallback, Step, Teacher


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """A network to train.

    Attributes:
        stage: of the training.
        model: name of the builder.
        epochs: passes over the labelled images.
        arguments: of the builder.
        learning_rate: peak learning rate. Default: that of the flags.
        schedule: learning rate schedule. Default: that of the flags.
    """

    stage: str
    model: str
    epochs: int
    arguments: Mapping[str, Any] = field(default_factory=dict)
    learning_rate: float | None = None
    schedule: str = ""


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where a training begins.

    Attributes:
        network: ends up in the checkpoint.
        card: of the checkpoint.
        callback: acts on the weights.
        trained: a module around the network, whose other layers are dropped after the training. Default: the network.
    """

    network: nn.Module
    card: Card
    callback: Callback = field(default_factory=NoCallback)
    trained: nn.Module | None = None


@dataclass(frozen=True, kw_only=True)
class Supervision:
    """What a training learns from: masks alone, or a teacher too.

    Attributes:
        step: makes the training step.
        teacher: makes the teacher, or returns None.
        transfer_ratio: images without masks per labelled image.
        views: random views, per image that the teacher is asked about, before they repeat; 0 for a new view every time
            (see `BatchPlan`).
        distort: whether the student sees the images without masks distorted.
        around: makes the module that is trained instead of a new network, and contains it.
        inputs: what the result depends on besides the images.
    """

    step: Callable[[], Step]
    teacher: Callable[[], Teacher | None] = lambda: None
    transfer_ratio: float = 0.0
    views: int = 0
    distort: bool = False
    around: Callable[[nn.Module], nn.Module] = lambda network: network
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """One training of the pipeline.

    Attributes:
        stage: its name.
        fit_config: epochs, learning rate and precision.
        start: makes or loads the network; takes the number of steps per epoch.
        supervision: what it learns from.
        inputs: what the result depends on besides the images, `fit_config`, `supervision` and the batch plan.
        finish: changes the trained network and its card before they are saved.
        seed_offset: added to the seed of batch order and random views, so that later trainings of one network see
            different batches; ignored if views repeat, so that cached logits serve every training.
        progressive: share of the epochs, from the first, on views of half the size.
    """

    stage: str
    fit_config: FitConfig
    start: Callable[[int], Start]
    supervision: Supervision
    inputs: Mapping[str, Any]
    finish: Callable[[nn.Module, Card], Card] = lambda _, card: card
    seed_offset: int = 0
    progressive: float = 0.0
