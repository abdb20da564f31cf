"""What trainings of the pipeline learn from: masks alone, or a teacher and images without masks."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from torchseg.checkpoint import Card, load_checkpoint, read_card, save_checkpoint
from torchseg.config import CompressConfig, DistillConfig, TrainConfig
from torchseg.config.distillation import DistillationConfig
from torchseg.data import Batch, UnmaskedSamples
from torchseg.data.datasets.scenes import CLASSES, Scenes
from torchseg.models import build_model
from torchseg.pipeline.run.dataset import Pictures
from torchseg.pipeline.run.folder import RunFolder
from torchseg.pipeline.run.session import launch
from torchseg.pipeline.stages import training
from torchseg.pipeline.stages.training import Trainer, check_training
from torchseg.pipeline.stages.training_plan import NetworkSpec
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=16, width=16, classes=CLASSES)
SMALL = {"base_width": 4, "depth": 1}
NETWORK = NetworkSpec(stage="student", model="unet", epochs=1, arguments=SMALL)
QUICK = {"workers": 0, "threads": 1, "training_precision": "fp32"}


def _part(name, length):
    return Scenes(name, height=16, width=16, length=length)


def _trainer(folder, *, transfer=12, upright=True, **flags):
    pictures = Pictures(
        spec=SPEC,
        train=_part("train", 16),
        transfer=_part("transfer", transfer) if transfer else (),
        validation=_part("validation", 4),
        test=_part("test", 4),
        upright=upright,
        fingerprint="drawn",
    )
    config = DistillConfig(**QUICK | flags)
    return Trainer(config, pictures, RunFolder(folder), launch(config))


@pytest.fixture
def teacher(tmp_path):
    """The checkpoint of a network that learned nothing."""
    network = build_model("unet", SMALL, SPEC, seed=1).eval()
    save_checkpoint(network, Card(builder="unet", arguments=SMALL, spec=SPEC, stage="teacher"), tmp_path / "teacher")
    return tmp_path / "teacher"


@pytest.fixture
def batches(monkeypatch):
    """The batches that trainings saw, each as a whole; the seconds of a training go into looking at one epoch."""
    seen = []

    def fit(model, task, step, config, *, fabric, folder):
        for batch in task.batches.epoch(0):
            seen.append((task, step, config, batch))
        raise _SeenError

    monkeypatch.setattr(training, "fit", fit)
    return seen


class _SeenError(Exception):
    pass


def _look(stage, tmp_path):
    with pytest.raises(_SeenError):
        stage.run(tmp_path)


def _distillation(trainer, teacher, *, views=0, **settings):
    return trainer.distillation(teacher, DistillationConfig(**settings), views=views)


@pytest.mark.parametrize(
    ("ratio", "batch_size", "unlabelled"), [(0, 8, 0), (1, 8, 8), (2, 4, 8), (0.5, 8, 4), (0.5, 2, 1), (0.01, 8, 1)]
)
def test_a_batch_has_images_without_masks_on_top_of_the_labelled_ones(
    ratio, batch_size, unlabelled, teacher, batches, tmp_path
):
    trainer = _trainer(tmp_path / "run", batch_size=batch_size)
    _look(trainer.from_start(NETWORK, _distillation(trainer, teacher, transfer_ratio=ratio)), tmp_path)
    assert len(batches) == trainer.steps_per_epoch == 16 // batch_size
    for _, _, _, batch in batches:
        assert batch.labelled.tolist() == [True] * batch_size + [False] * unlabelled


@pytest.mark.parametrize("ratio", [0, 0.5, 1, 2])
def test_the_mixture_of_a_batch_does_not_change_the_weights_of_its_losses(ratio, teacher, batches, tmp_path):
    """With a loss on masks of 3 and a student who is far from its teacher: alpha of the one, the rest of the other."""
    trainer = _trainer(tmp_path / "run", batch_size=4)
    trainer.__dict__["loss"] = lambda logits, masks, *, ignore_index: logits.sum() * 0 + 3
    _look(trainer.from_start(NETWORK, _distillation(trainer, teacher, transfer_ratio=ratio, alpha=0.25)), tmp_path)
    _, step, _, batch = batches[0]
    asked = len(batch.pictures) if ratio == 0 else int(4 * ratio)
    targets = torch.zeros(asked, len(CLASSES), 16, 16)
    batch = batch._replace(targets=targets, masks=batch.masks.clamp(max=4), labelled=batch.labelled)
    logits = torch.zeros(len(batch.pictures), len(CLASSES), 16, 16)
    agreeing = step(lambda images: logits, batch.pictures, batch)
    assert agreeing.item() == pytest.approx(0.75 * 3)  # equal logits cost nothing
    targets[:, 0] = 5.0
    soft = step(lambda images: logits, batch.pictures, batch) - agreeing
    alone = training.distill_step(DistillationConfig(alpha=1.0), ignore_index=255)
    only = batch.rows(len(batch.pictures) - asked, len(batch.pictures))
    assert soft.item() == pytest.approx(0.25 * alone(lambda images: logits[-asked:], only.pictures, only).item())


def test_data_without_a_transfer_set_lends_its_own_images_without_their_masks(teacher, batches, tmp_path):
    trainer = _trainer(tmp_path / "run", transfer=0)
    _look(trainer.from_start(NETWORK, _distillation(trainer, teacher)), tmp_path)
    task, _, _, batch = batches[0]
    assert batch.labelled.tolist() == [True] * 8 + [False] * 8
    assert (batch.masks[8:] == 255).all()
    assert not (batch.masks[:8] == 255).all()
    assert task.batches.plan.transfer == 16
    samples = task.batches._loader.dataset.transfer
    assert isinstance(samples, UnmaskedSamples)
    assert np.array_equal(samples[3].picture, trainer.pictures.train[3].picture)
    assert len(set(batch.seeds.tolist())) == 16  # in other views


def test_the_transfer_set_of_the_data_is_taken_if_there_is_one(teacher, batches, tmp_path):
    trainer = _trainer(tmp_path / "run", transfer=12)
    _look(trainer.from_start(NETWORK, _distillation(trainer, teacher)), tmp_path)
    task = batches[0][0]
    assert task.batches.plan.transfer == 12
    assert task.batches._loader.dataset.transfer is trainer.pictures.transfer


def test_labels_alone_take_no_image_without_a_mask_and_ask_no_teacher(batches, tmp_path):
    trainer = _trainer(tmp_path / "run")
    _look(trainer.from_start(NETWORK), tmp_path)
    task, _, _, batch = batches[0]
    assert batch.labelled.tolist() == [True] * 8
    assert task.teacher is None


@pytest.mark.parametrize("upright", [True, False])
def test_views_are_turned_if_the_images_have_no_up_and_down(upright, tmp_path):
    assert _trainer(tmp_path / "run", upright=upright)._view.upright == upright


def test_a_teacher_that_is_asked_again_and_again_remembers_and_serves_every_training(teacher, batches, tmp_path):
    trainer = _trainer(tmp_path / "run")
    asked = []
    for views in (2, 2, 0):
        _look(trainer.from_start(NETWORK, _distillation(trainer, teacher, views=views)), tmp_path)
        asked.append(batches[-1][0])
    assert asked[0].teacher is asked[1].teacher
    assert asked[0].teacher.caches_logits
    assert [task.batches.plan.views for task in asked] == [2, 2, 0]
    assert not asked[2].teacher.caches_logits  # views that never come again are not kept, whatever was trained before


def test_teacher_student_and_baseline_average_their_weights_and_have_rates_of_their_own(batches, tmp_path):
    trainer = _trainer(tmp_path / "run", ema=0.95, learning_rate=0.003, schedule="stable")
    for network in (NETWORK, replace(NETWORK, learning_rate=0.01, schedule="cosine")):
        _look(trainer.from_start(network), tmp_path)
    configs = [config for _, _, config, _ in batches[:: trainer.steps_per_epoch]]
    assert [(each.ema, each.learning_rate, each.schedule) for each in configs] == [
        (0.95, 0.003, "stable"),
        (0.95, 0.01, "cosine"),
    ]


def test_recovery_keeps_the_weights_themselves(tmp_path):
    """Averages of weights would not keep zeros and shared values."""
    assert _trainer(tmp_path / "run", ema=0.95).fit_config(3).ema == 0


@pytest.mark.parametrize(
    "changes", [{"soft_loss": "kl"}, {"temperature": 2.0}, {"alpha": 0.6}, {"transfer_ratio": 0.5}]
)
def test_other_settings_of_the_distillation_are_another_training(changes, teacher, tmp_path):
    trainer = _trainer(tmp_path / "run")
    one, other = (trainer.from_start(NETWORK, _distillation(trainer, teacher, **each)).inputs for each in ({}, changes))
    assert one != other
    assert one == trainer.from_start(NETWORK, _distillation(trainer, teacher)).inputs


@pytest.mark.parametrize("flags", [{"ema": 0.5}, {"learning_rate": 0.01}, {"batch_size": 4}])
def test_other_flags_are_another_training(flags, tmp_path):
    one, other = (_trainer(tmp_path / "run", **each).from_start(NETWORK).inputs for each in ({}, flags))
    assert one != other


def test_a_distilled_student_is_saved_with_its_teacher_as_parent(teacher, tmp_path):
    trainer = _trainer(tmp_path / "run", transfer=0)
    assert trainer.folder.do(trainer.from_start(NETWORK, _distillation(trainer, teacher)))
    student = tmp_path / "run/student"
    assert set(read_card(student).parents) == {"teacher"}
    network, card = load_checkpoint(student)
    assert all(torch.isfinite(tensor).all() for tensor in network.state_dict().values())
    assert 0 <= card.metrics["val_miou"] <= 1
    with (student / "curves.csv").open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1"]


CONFIGS = {
    "train": TrainConfig,
    "distill": DistillConfig,
    "compress": lambda **flags: CompressConfig(checkpoint=Path("net"), **flags),
}


@pytest.mark.parametrize("make", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"schedule": "cosin"}, r"schedule is 'cosin' \(did you mean 'cosine'\?\); choose from cosine, stable"),
        ({"schedule": ""}, "schedule is ''; choose from cosine, stable"),
        ({"loss": "lovazs"}, r"loss 'lovazs' names 'lovazs' \(did you mean 'lovasz'\?\)"),
        ({"class_weights": "1,2"}, "give median_frequency, or 5 positive numbers"),
    ],
)
def test_every_command_refuses_losses_and_schedules_that_are_none(make, flags, message):
    with pytest.raises(ValueError, match=message):
        check_training(make(**flags), SPEC)


@pytest.mark.parametrize("name", ["distill", "compress"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kd", r"soft_loss 'kd' names 'kd'.*; choose from kl, dice"),
        ("kl+kl", "soft_loss is .*; name each term once"),
        ("-1*kl", "soft_loss is .*with a positive weight"),
    ],
)
def test_every_command_that_distils_refuses_a_soft_loss_that_is_none(name, text, message):
    with pytest.raises(ValueError, match=message):
        check_training(CONFIGS[name](soft_loss=text), SPEC)


def test_a_schedule_of_the_teacher_is_refused_by_its_own_name():
    with pytest.raises(ValueError, match=r"^teacher_schedule is 'stabel' \(did you mean 'stable'\?\); choose from"):
        check_training(DistillConfig(teacher_schedule="stabel"), SPEC)
    check_training(DistillConfig(teacher_schedule="stable"), SPEC)


@pytest.mark.parametrize("text", ["kl+dice", "mean", "picture_sum", "over_width", "channel+0.5*dist", "standardised"])
def test_every_soft_loss_is_taken(text):
    check_training(DistillConfig(soft_loss=text), SPEC)


def test_a_student_that_learns_features_is_saved_without_its_projection(teacher, tmp_path):
    checkpoints = {}
    for weight in (0.0, 1.0):
        trainer = _trainer(tmp_path / f"run{weight}", feature_weight=weight)
        trainer.folder.do(trainer.from_start(NETWORK, _distillation(trainer, teacher)))
        checkpoints[weight] = load_checkpoint(trainer.folder.path / "student")[0].state_dict()
    plain, taught = checkpoints.values()
    assert plain.keys() == taught.keys()
    assert any(not torch.equal(plain[name], taught[name]) for name in plain)


def test_recovery_learns_the_logits_alone_from_a_teacher_with_features(teacher, tmp_path):
    trainer = _trainer(tmp_path / "run", feature_weight=1.0)
    learns_from = _distillation(trainer, teacher)
    images, seeds = torch.randn(2, 3, 16, 16), torch.arange(2)
    answer = learns_from.teacher()(images, seeds)
    assert answer.shape[1] > len(CLASSES)
    batch = Batch(
        pictures=images,
        masks=torch.full((2, 16, 16), 255),
        labelled=torch.zeros(2, dtype=torch.bool),
        seeds=seeds,
        targets=answer,
        plain=images[:0],
    )
    agreeing = learns_from.step()(lambda images: answer[:, : len(CLASSES)], images, batch)
    assert agreeing.item() == pytest.approx(0, abs=1e-4)
