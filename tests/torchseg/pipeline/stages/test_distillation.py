from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest

from torchseg.config import CompressConfig, DistillConfig
from torchseg.config.distillation import DistillationConfig
from torchseg.pipeline.stages.distillation import (
    check_distillation,
    compression_flags,
    distillation_config,
    supervision,
    teacher_stages,
)
from torchseg.pipeline.stages.lengths import STUDENT_STEPS, TEACHER_STEPS
from torchseg.pipeline.stages.training_plan import Supervision
from torchseg.spec import ImageSpec

SETTINGS = {"temperature": 3.0, "alpha": 0.25, "soft_loss": "dist", "transfer_ratio": 2.0, "distort": True}


class _Trainer:
    """Keeps what it was asked to make."""

    def __init__(self, config, *, folder=Path()):
        self.config, self.folder = config, SimpleNamespace(path=folder)
        self.asked = []

    def distillation(self, teacher, how, *, views):
        self.asked.append((teacher, how, views))
        return Supervision(step=lambda: None, transfer_ratio=how.transfer_ratio, views=views)

    def labels(self):
        self.asked.append("labels")
        return Supervision(step=lambda: None)

    def epochs(self, wanted, *, steps):
        return wanted or steps

    def from_start(self, network, learns_from):
        return network, learns_from


@pytest.mark.parametrize(
    ("flags", "views"), [({}, 2), ({"data": "folder"}, 0), ({"views": 5}, 5), ({"data": "folder", "views": 1}, 1)]
)
def test_views_that_nobody_gave_are_those_that_fit_the_data(flags, views, tmp_path):
    trainer = _Trainer(DistillConfig(**flags, alpha=0.25))
    assert supervision(trainer, tmp_path, views=trainer.config.views).views == views
    assert trainer.asked == [(tmp_path, DistillationConfig(alpha=0.25), views)]


def test_without_a_teacher_the_masks_are_all_there_is():
    trainer = _Trainer(DistillConfig(teacher=None))
    assert supervision(trainer, None).transfer_ratio == 0
    assert trainer.asked == ["labels"]


@pytest.mark.parametrize("config", [DistillConfig(**SETTINGS), CompressConfig(checkpoint="net", **SETTINGS)])
def test_the_distillation_loss_is_that_of_the_flags(config):
    found = distillation_config(config)
    assert type(found) is DistillationConfig
    assert asdict(found) == SETTINGS


@pytest.mark.parametrize(
    ("flags", "rate", "schedule"),
    [({}, None, ""), ({"teacher_learning_rate": 0.01, "teacher_schedule": "stable"}, 0.01, "stable")],
)
def test_the_teacher_has_a_rate_and_a_schedule_of_its_own(flags, rate, schedule):
    config = DistillConfig(**flags, teacher="unet", learning_rate=0.004)
    [(network, learns_from)] = teacher_stages(config, _Trainer(DistillConfig()))
    assert learns_from.transfer_ratio == 0
    assert (network.stage, network.model) == ("teacher", "unet")
    assert (network.learning_rate, network.schedule) == (rate, schedule)
    assert network.epochs == TEACHER_STEPS


def test_no_teacher_has_no_stage():
    assert list(teacher_stages(DistillConfig(teacher=None), SimpleNamespace())) == []


def test_a_teacher_of_a_later_round_learns_from_the_one_before(tmp_path):
    trainer = _Trainer(DistillConfig(data="folder"), folder=tmp_path)
    stages = list(teacher_stages(DistillConfig(teacher="unet", teacher_rounds=3), trainer))
    assert [network.stage for network, _ in stages] == ["teacher_round1", "teacher_round2", "teacher"]
    assert {(network.model, network.epochs) for network, _ in stages} == {("unet", TEACHER_STEPS)}
    assert [learns_from.transfer_ratio for _, learns_from in stages] == [0, 1, 1]
    asked = [each if each == "labels" else each[0].name for each in trainer.asked]
    assert asked == ["labels", "teacher_round1", "teacher_round2"]


def test_a_schedule_or_soft_loss_that_is_none_is_refused_before_the_networks_are_built():
    spec = ImageSpec(height=32, width=32, classes=("a", "b"))
    for flags, message in (
        ({"teacher_schedule": "flat"}, "teacher_schedule is 'flat'"),
        ({"schedule": "flat"}, "^schedule is 'flat'"),
        ({"soft_loss": "sum"}, "soft_loss 'sum' names 'sum'"),
    ):
        with pytest.raises(ValueError, match=message):
            check_distillation(DistillConfig(**flags, student="no such network"), spec)


@pytest.mark.parametrize(
    ("flags", "epochs"),
    [
        ({}, 0),
        ({"prune_at_start": True, "prune_epochs": 3, "epochs": 7}, 3),
        ({"prune_at_start": True, "epochs": 7}, 7),
        ({"prune_at_start": True}, STUDENT_STEPS.scenes),
    ],
)
def test_a_pruning_before_the_training_is_as_long_as_a_training(flags, epochs):
    lengths = SimpleNamespace(epochs=lambda wanted, *, steps: wanted or steps.scenes)
    assert compression_flags(DistillConfig(**flags), lengths).prune_epochs == epochs
