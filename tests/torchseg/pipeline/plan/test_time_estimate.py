from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from torchseg.config.distillation import DistillationConfig
from torchseg.pipeline.plan.time_estimate import StepTime, TrainingEstimate, step_time
from torchseg.pipeline.stages.training_plan import NetworkSpec

NETWORK = NetworkSpec(stage="student", model="small_unet", arguments={"base_width": 4, "depth": 1}, epochs=20)


@pytest.fixture
def estimate(trainer, monkeypatch):
    """Of steps that take a tenth of a second, and ten times that where the teacher has to be asked."""
    monkeypatch.setattr("torchseg.pipeline.plan.time_estimate.step_time", lambda *_: StepTime(new=1.0, repeated=0.1))

    def make(*, views=None):
        how = DistillationConfig(transfer_ratio=1.0)
        supervision = trainer.labels() if views is None else trainer.taught_by(lambda: None, how, views=views)
        return TrainingEstimate(trainer, lambda: trainer.untrained(NETWORK), lambda: supervision)

    return make


@pytest.mark.parametrize("views", [None, 0, 2])
def test_a_few_steps_are_timed_and_nothing_else_changes(trainer, views):
    network, state = trainer.untrained(NETWORK), torch.get_rng_state()
    files = sorted(trainer.folder.path.rglob("*"))
    teacher = trainer.teacher(trainer.untrained(NETWORK), views=views or 0)
    how = DistillationConfig(transfer_ratio=1.0)
    supervision = trainer.labels() if views is None else trainer.taught_by(lambda: teacher, how, views=views)
    measured = step_time(trainer, network, supervision)
    assert 0 < measured.repeated < 5
    assert 0 < measured.new < 5
    assert torch.equal(torch.get_rng_state(), state)
    assert sorted(trainer.folder.path.rglob("*")) == files


def test_a_training_takes_its_steps_and_its_validations(estimate):
    seconds = estimate().seconds(20)  # 40 steps of 4 images each, and 10 times 2 images validated
    assert seconds == pytest.approx(40 * 0.1 + 20 * 0.1 / 3 / 4)


def test_images_of_half_the_size_take_a_quarter_of_the_time(estimate):
    whole, half = (estimate().seconds(20, progressive=share) for share in (0.0, 0.5))
    assert whole - half == pytest.approx(40 * 0.1 * 0.5 * 0.75)


def test_the_teacher_is_asked_once_about_each_repeated_view(estimate):
    """Two views of four images without masks, four per step: two steps of forty."""
    always, twice = (estimate(views=views).seconds(20) for views in (0, 2))
    assert twice - always == pytest.approx(2 * (1.0 - 0.1))


def test_a_short_training_is_not_measured(estimate):
    assert estimate().seconds(19) is None


def test_several_processes_are_not_measured(trainer, monkeypatch, estimate):
    monkeypatch.setattr(type(trainer.fabric), "world_size", 2)
    assert estimate().seconds(20) is None


def test_a_network_is_measured_once(trainer, monkeypatch):
    built = []

    def network():
        built.append(trainer.untrained(NETWORK))
        return built[-1]

    estimate = TrainingEstimate(replace(trainer), network, trainer.labels)
    assert estimate.seconds(20) < estimate.seconds(40)
    assert estimate.image_seconds > 0
    assert len(built) == 1
