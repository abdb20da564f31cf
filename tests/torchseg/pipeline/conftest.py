from __future__ import annotations

import numpy as np
import pytest
from lightning_fabric import Fabric

from torchseg.config import FromStartConfig
from torchseg.data import Sample
from torchseg.data.datasets.scenes import CLASSES, draw_scene
from torchseg.pipeline.run.dataset import Pictures
from torchseg.pipeline.run.folder import RunFolder
from torchseg.pipeline.stages.training import Trainer
from torchseg.spec import ImageSpec


def _samples(first, count):
    drawn = [draw_scene(16, 16, np.random.default_rng(number)) for number in range(first, first + count)]
    return [
        Sample(name=str(first + number), picture=picture, mask=mask) for number, (picture, mask) in enumerate(drawn)
    ]


@pytest.fixture
def pictures():
    """Eight labelled scenes, four without masks, and two each for validation and test."""
    return Pictures(
        spec=ImageSpec(height=16, width=16, classes=tuple(CLASSES)),
        train=_samples(0, 8),
        transfer=_samples(8, 4),
        validation=_samples(12, 2),
        test=_samples(14, 2),
        upright=False,
        fingerprint="scenes",
    )


@pytest.fixture
def trainer(pictures, tmp_path):
    """Trains on the CPU, two steps an epoch, into the folder `run`."""
    config = FromStartConfig(batch_size=4, micro_batches=1, training_precision="fp32", workers=0, threads=1, seed=5)
    return Trainer(config, pictures, RunFolder(tmp_path / "run"), Fabric(accelerator="cpu", devices=1))
