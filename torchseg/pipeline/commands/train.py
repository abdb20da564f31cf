"""The train command: trains one network with labels."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torchseg.checkpoint import read_card
from torchseg.cli.command import DONE, other_command
from torchseg.config import TrainConfig
from torchseg.models import parse_arguments, pretrained_scaling
from torchseg.pipeline.commands.cross_validation import cross_validate
from torchseg.pipeline.plan.run_plan import RunPlan
from torchseg.pipeline.plan.time_estimate import TrainingEstimate, training_line
from torchseg.pipeline.run.dataset import cached_pictures, check_stage, open_pictures
from torchseg.pipeline.run.normalisation import chosen_scaling
from torchseg.pipeline.run.session import open_session
from torchseg.pipeline.run.summary import checkpoint_argument
from torchseg.pipeline.stages.lengths import STUDENT_STEPS
from torchseg.pipeline.stages.scoring import score_stage
from torchseg.pipeline.stages.training import Trainer, check_network, check_training
from torchseg.pipeline.stages.training_plan import NetworkSpec


def train(config: TrainConfig) -> int:
    """Trains the network unless that is already done; writes its checkpoint to `OUT/trained`."""
    if config.folds:
        return cross_validate(config, _train_fold)
    started = time.monotonic()
    trained = train_network(config)
    if trained.reports:
        miou = read_card(trained.checkpoint).metrics["val_miou"]
        done = f"Trained in {time.monotonic() - started:.0f} s" if trained.ran else "Nothing to do"
        print(f"{done}: {trained.checkpoint} has {100 * miou:.2f} % mean IoU on the validation split.")
        print(f"  next     {other_command('export')} {checkpoint_argument(trained.checkpoint)}")
    return DONE


def _train_fold(config: TrainConfig) -> int:
    """Trains on one fold of a cross-validation, and scores the network on its test split."""
    trained = train_network(config, scores=True)
    if trained.reports:
        miou = read_card(trained.checkpoint).metrics["val_miou"]
        print(f"{trained.checkpoint} has {100 * miou:.2f} % mean IoU on the validation split.", flush=True)
    return DONE


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Result of `train_network`.

    Attributes:
        checkpoint: folder of the trained network.
        ran: False if it was already trained.
        reports: whether this process prints the result; the others of a distributed training stay quiet.
    """

    checkpoint: Path
    ran: bool
    reports: bool


def train_network(config: TrainConfig, *, scores: bool = False) -> Trained:
    """Trains the network unless that is already done; writes its checkpoint to `OUT/trained`.

    Args:
        config: flags of the command.
        scores: whether to score it on the test split, into the tables of the run folder.

    Raises:
        ValueError: if the data, the network or the loss is unknown, or they do not fit each other.
    """
    arguments = parse_arguments(config.model_arguments)
    pictures = open_pictures(config).scaled(
        chosen_scaling(config.normalisation, pretrained_scaling(config.model, arguments))
    )
    check_network(config.model, pictures.spec, arguments=arguments)
    check_training(config, pictures.spec)
    with open_session(config) as session:
        config, folder, fabric = session.config, session.folder, session.fabric
        check = check_stage(pictures, config, writes=fabric.is_global_zero)
        folder.do(check, writes=fabric.is_global_zero, wait=fabric.barrier)
        trainer = Trainer(config, cached_pictures(pictures, folder.path), folder, fabric)
        epochs = trainer.epochs(config.epochs, steps=STUDENT_STEPS)
        network = NetworkSpec(stage="trained", model=config.model, arguments=arguments, epochs=epochs)
        plan = _plan(trainer, network) if fabric.is_global_zero else RunPlan([])
        do = partial(folder.do, writes=fabric.is_global_zero, wait=fabric.barrier)
        ran = plan.do(trainer.from_start(network), do)
        if scores and fabric.is_global_zero:
            folder.do(score_stage(trainer.pictures, folder, [network.stage]))
    return Trained(checkpoint=folder.path / "trained", ran=ran, reports=fabric.is_global_zero)


def _plan(trainer: Trainer, network: NetworkSpec) -> RunPlan:
    estimate = TrainingEstimate(trainer, lambda: trainer.untrained(network), trainer.labels)
    share = trainer.config.progressive if isinstance(trainer.config, TrainConfig) else 0.0
    return RunPlan([training_line(network.stage, network.epochs, estimate, progressive=share)])
