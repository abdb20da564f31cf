"""The stage that removes channels from a network and then trains it to recover accuracy."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from torchseg.checkpoint import WEIGHTS, load_checkpoint, sha256_of
from torchseg.compress import ChannelPruneConfig, prune_channels
from torchseg.config import CompressConfig
from torchseg.console import STDOUT
from torchseg.losses import segmentation_loss
from torchseg.pipeline.export.calibration import calibration_samples
from torchseg.pipeline.run.dataset import Pictures
from torchseg.pipeline.run.folder import Stage
from torchseg.pipeline.stages.compression import unbranched
from torchseg.pipeline.stages.lengths import DefaultFor, Lengths
from torchseg.pipeline.stages.training import Trainer
from torchseg.pipeline.stages.training_plan import Start, Supervision, TrainingPlan

# Optimizer steps if the user gives no epochs, by whether the images are generated.
CHANNEL_PRUNE_STEPS = DefaultFor(scenes=240, photos=720)
_BATCH = 8  # images that channel importance is measured on


def channel_pruned_stage(trainer: Trainer, config: CompressConfig, recovery: Supervision, checkpoint: Path) -> Stage:
    """Removes the least important channels and trains the rest.

    The stage raises ValueError if the logits differ from those of the same network with these channels zeroed.
    """
    how = ChannelPruneConfig(share=config.channel_sparsity, importance=config.importance)
    epochs = channel_prune_epochs(trainer, config)

    def start(_: int) -> Start:
        network, card = unbranched(*load_checkpoint(checkpoint))
        images, masks = _real_batch(trainer.pictures)
        ignored = card.spec.ignore_index
        pruned = prune_channels(
            network, images, how, loss=lambda model: segmentation_loss(model(images), masks, ignore_index=ignored)
        )
        STDOUT.info(f"channels removed from {len(pruned.widths)} layers; logits differ by {pruned.difference:.1g}")
        parents = {card.stage: sha256_of(checkpoint / WEIGHTS)}
        return Start(network=pruned.model, card=replace(card, stage="channel_pruned", parents=parents, resized=True))

    training_plan = TrainingPlan(
        stage="channel_pruned",
        fit_config=trainer.fit_config(epochs),
        start=start,
        supervision=recovery,
        inputs={"from": sha256_of(checkpoint / WEIGHTS), "settings": asdict(how)},
        seed_offset=3,
    )
    return trainer.stage(training_plan)


def channel_prune_epochs(lengths: Lengths, config: CompressConfig) -> int:
    """Epochs of the stage."""
    return lengths.epochs(config.channel_epochs, steps=CHANNEL_PRUNE_STEPS)


def _real_batch(pictures: Pictures) -> tuple[Tensor, Tensor]:
    """A few training images that show as many classes as possible.

    Returns:
        Normalised images, float32 `(B, C, H, W)`, and masks, uint8 `(B, H, W)`; B is at most 8.
    """
    samples = calibration_samples(pictures.train, pictures.spec)[:_BATCH]
    images = pictures.spec.prepare(np.stack([each.picture for each in samples]))
    return torch.from_numpy(images), torch.from_numpy(np.stack([each.mask for each in samples]))
