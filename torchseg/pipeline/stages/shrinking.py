"""The stage that takes channels out of a network for good, with recovery."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from torchseg.checkpoint import WEIGHTS, load_checkpoint, sha256_of
from torchseg.compress import ShrinkConfig, shrink_channels
from torchseg.config import CompressConfig
from torchseg.losses import segmentation_loss
from torchseg.pipeline.export.exporter import calibration_samples
from torchseg.pipeline.run.dataset import Pictures
from torchseg.pipeline.run.folder import Stage
from torchseg.pipeline.stages.compression import Recovery, unbranched
from torchseg.pipeline.stages.training import Course, Start, Trainer

# Optimizer steps where nobody gave epochs, by whether the pictures are generated.
SHRINK_STEPS = {True: 240, False: 720}
_BATCH = 8  # pictures that importance is measured on


def shrunk_stage(trainer: Trainer, config: CompressConfig, lesson: Recovery, checkpoint: Path) -> Stage:
    """Removes the least important channels; running it raises ValueError if not only silent ones went."""
    how = ShrinkConfig(share=config.shrink, importance=config.importance)
    epochs = trainer.epochs(config.shrink_epochs, steps=SHRINK_STEPS)

    def start(_: int) -> Start:
        network, card = unbranched(*load_checkpoint(checkpoint))
        images, masks = _real_batch(trainer.pictures)
        ignored = card.spec.ignore_index
        shrunk = shrink_channels(
            network, images, how, loss=lambda model: segmentation_loss(model(images), masks, ignore_index=ignored)
        )
        print(
            f"channels removed from {len(shrunk.widths)} layers; logits differ by {shrunk.difference:.1g}", flush=True
        )
        parents = {card.stage: sha256_of(checkpoint / WEIGHTS)}
        return Start(network=shrunk.model, card=replace(card, stage="shrunk", parents=parents, resized=True))

    course = Course(
        stage="shrunk",
        pace=trainer.pace(epochs),
        start=start,
        step=lesson.step,
        transfer=lesson.transfer,
        inputs={"from": sha256_of(checkpoint / WEIGHTS), "settings": asdict(how), "recovery": lesson.inputs},
        first_view=3,
        views=lesson.views,
    )
    return trainer.stage(course)


def _real_batch(pictures: Pictures) -> tuple[Tensor, Tensor]:
    """Training pictures with as many classes as there are: images `(B, C, H, W)` and masks `(B, H, W)`."""
    samples = calibration_samples(pictures.train, pictures.spec)[:_BATCH]
    images = pictures.spec.prepare(np.stack([each.picture for each in samples]))
    return torch.from_numpy(images), torch.from_numpy(np.stack([each.mask for each in samples]))
