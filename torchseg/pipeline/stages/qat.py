"""Quantization-aware training: a short training with simulated int8."""

from __future__ import annotations

import copy
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from torchseg.checkpoint import Card, load_checkpoint, read_card, save_checkpoint, sha256_of
from torchseg.compress import Int8Simulation
from torchseg.config import LearningConfig
from torchseg.models.external.program import check_layers
from torchseg.pipeline.export.calibration import calibration_images
from torchseg.pipeline.run.dataset import Pictures
from torchseg.pipeline.run.folder import RunFolder
from torchseg.pipeline.run.session import launch
from torchseg.pipeline.stages.training import Trainer
from torchseg.pipeline.stages.training_plan import Start, TrainingPlan
from torchseg.train import evaluate

LEARNING_RATE = 1e-4  # peak; a twentieth of the default, because the network is already trained
SUFFIX = "_qat"


def train_for_int8(
    checkpoint: Path, folder: RunFolder, pictures: Pictures, config: LearningConfig, *, epochs: int
) -> Path:
    """Trains the checkpoint's network with labels and simulated int8 into `STAGE_qat`, unless that is already done.

    Args:
        checkpoint: its folder; not modified.
        folder: run folder for the new checkpoint.
        pictures: the data set.
        config: data and training flags; `auto` precision means fp32, because rounding to bfloat16 hides the int8
            levels.
        epochs: passes over the labelled images.

    Returns:
        The new checkpoint's folder. It holds a plain float network whose card differs only in stage, parents and
        metrics. The weights are those with the best mean IoU on the validation split under simulated int8; if training
        improved nothing, they are the original weights, rounded. The metrics `val_miou` and `val_miou_untrained`
        (before training) are measured with simulated int8, as shares.

    Raises:
        ValueError: if the checkpoint holds a program, which has no layers to train.
    """
    card = read_card(checkpoint)
    check_layers(card.builder, what=str(checkpoint))
    stage = f"{card.stage}{SUFFIX}"
    torch.set_num_threads(config.cores)
    fabric = launch(config)
    precision = "fp32" if config.training_precision == "auto" else config.training_precision
    config = replace(config, learning_rate=LEARNING_RATE, training_precision=precision)
    trainer = Trainer(config, pictures, folder, fabric)
    parents = {**card.parents, card.stage: sha256_of(checkpoint / "model.safetensors")}
    qat = _QatTraining(checkpoint, pictures, replace(card, stage=stage, parents=parents))
    fit_config = trainer.fit_config(epochs)
    training_plan = TrainingPlan(
        stage=stage,
        fit_config=fit_config,
        start=qat.start,
        supervision=trainer.labels(),
        inputs={"parents": parents, **asdict(fit_config)},
        finish=qat.finish,
        seed_offset=1,
    )
    training = trainer.stage(training_plan)

    def run(work: Path) -> None:
        training.run(work)
        network, trained = load_checkpoint(work / stage)
        save_checkpoint(network, replace(trained, metrics={**trained.metrics, **qat.metrics}), work / stage)

    folder.do(replace(training, run=run))
    return folder.path / stage


class _QatTraining:
    """Starts and finishes the training; restores the original weights if the trained ones score lower."""

    def __init__(self, checkpoint: Path, pictures: Pictures, card: Card) -> None:
        self.checkpoint, self.pictures, self.card = checkpoint, pictures, card
        self.simulation: Int8Simulation | None = None
        self.weights: dict[str, Tensor] = {}
        self.metrics: dict[str, float] = {}

    def start(self, _: int) -> Start:
        network, _card = load_checkpoint(self.checkpoint)
        self.simulation = Int8Simulation(network)
        self.simulation.observe(torch.from_numpy(calibration_images(self.pictures)))
        self.weights = copy.deepcopy(network.state_dict())
        self.metrics["val_miou_untrained"] = self._miou(network)
        return Start(network=network, card=self.card)

    def finish(self, network: nn.Module, card: Card) -> Card:
        assert self.simulation is not None
        untrained, trained = self.metrics["val_miou_untrained"], self._miou(network)
        if trained < untrained:
            network.load_state_dict(self.weights)
        self.metrics["val_miou"] = max(untrained, trained)
        self.simulation.remove()
        return card

    def _miou(self, network: nn.Module) -> float:
        return evaluate(network, self.pictures.validation, self.pictures.spec).miou
