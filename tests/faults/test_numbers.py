"""A number that is none stops the work where it comes up, with the flag to change."""

from __future__ import annotations

import pytest
import torch
from lightning_fabric import Fabric

from torchseg.config import LearningConfig
from torchseg.data import Batches, BatchPlan, RandomView, UnmaskedSamples
from torchseg.data.datasets.scenes import CLASSES, Scenes
from torchseg.models import build_model
from torchseg.pipeline.run.dataset import Pictures, check_stage
from torchseg.spec import ImageSpec
from torchseg.train import FitConfig, Task, fit

SPEC = ImageSpec(height=16, width=16, classes=CLASSES)


def _scenes(split, length=16):
    return Scenes(split, height=16, width=16, length=length)


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_loss_that_is_not_finite_stops_the_training_at_its_step(value, tmp_path):
    plan = BatchPlan(labelled=16, batch_size=8, seed=0)
    batches = Batches(_scenes("train"), (), view=RandomView(height=16, width=16), plan=plan, workers=0)
    task = Task(name="student", batches=batches, validation=_scenes("validation", 2), spec=SPEC)
    network = build_model("unet", {"base_width": 2, "depth": 1}, SPEC)
    losses = iter([1.0, 1.0, 1.0, float(value)])
    steps = []

    def step(network, images, batch):
        steps.append(next(losses))
        return network(images).mean() * 0 + steps[-1]

    refused = rf"student: the loss is {value} in epoch 2, step 2 of 2; .*: give a smaller --learning_rate"
    config = FitConfig(epochs=4, micro_batches=1)
    with pytest.raises(ValueError, match=refused):
        fit(network, task, step, config, fabric=Fabric(accelerator="cpu", devices=1), folder=tmp_path)
    assert len(steps) == 4
    assert all(torch.isfinite(tensor).all() for tensor in network.state_dict().values())


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_split_whose_masks_are_ignored_everywhere_is_refused_before_the_training(split, tmp_path):
    splits = {name: _scenes(name, 4) for name in ("train", "validation", "test")}
    splits[split] = UnmaskedSamples(splits[split], ignore_index=255)
    pictures = Pictures(spec=SPEC, transfer=(), upright=True, fingerprint="", **splits)
    stage = check_stage(pictures, LearningConfig(threads=1))
    with pytest.raises(ValueError, match=rf"every pixel of the {split} split is ignored, .*; correct its masks"):
        stage.run(tmp_path)
