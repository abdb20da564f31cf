"""The training loop with a teacher, whom it asks about each batch."""

from __future__ import annotations

import itertools

import pytest
import torch
from lightning_fabric import Fabric

import torchseg.train.loop as loop
from torchseg.config.distillation import DistillationConfig
from torchseg.data import Batches, BatchPlan, RandomView
from torchseg.data.datasets.scenes import CLASSES, Scenes
from torchseg.models import build_model
from torchseg.spec import ImageSpec
from torchseg.train import FitConfig, Task, Teacher, distill_step, fit, label_step, normalise

pytestmark = pytest.mark.usefixtures("fabric_in_one_thread")
SPEC = ImageSpec(height=16, width=16, classes=CLASSES)
STEP = label_step(ignore_index=255)


@pytest.fixture
def fabric():
    return Fabric(accelerator="cpu", devices=1)


class _Asked(Teacher):
    """Keeps what it was asked about."""

    def __init__(self, **options):
        super().__init__(_network(), **options)
        self.seeds, self.images = [], []

    def __call__(self, images, seeds, **options):
        self.seeds.append(seeds.tolist())
        self.images.append(images)
        return super().__call__(images, seeds, **options)


def _network(seed=3):
    return build_model("unet", {"base_width": 4, "depth": 1}, SPEC, seed=seed)


def _task(teacher, **plan):
    labelled, transfer = (Scenes(part, height=16, width=16, length=n) for part, n in (("train", 16), ("transfer", 24)))
    plan = BatchPlan(labelled=16, transfer=24, batch_size=8, seed=0, **plan)
    batches = Batches(labelled, transfer, view=RandomView(height=16, width=16), plan=plan, workers=0)
    validation = Scenes("validation", height=16, width=16, length=8)
    return Task(name="test", batches=batches, validation=validation, spec=SPEC, teacher=teacher)


def _distilled(folder, fabric, config, *, step=None, teacher=None, **plan):
    teacher = teacher or _Asked()
    share = plan.get("transfer_batch", 0) / (8 + plan.get("transfer_batch", 0))
    step = step or distill_step(DistillationConfig(), ignore_index=255, transfer_share=share)
    network = _network(seed=4)
    progress = fit(network, _task(teacher, **plan), step, config, fabric=fabric, folder=folder)
    return network, teacher, progress


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize(("transfer_batch", "asked"), [(0, 8), (8, 8), (4, 4)])
def test_the_teacher_is_asked_about_images_without_masks_or_if_there_are_none_about_all(
    transfer_batch, asked, parts, fabric, tmp_path
):
    batches = []

    def step(model, images, batch):
        batches.append(batch)
        return STEP(model, images, batch)

    config = FitConfig(epochs=1, micro_batches=parts)
    _, teacher, _ = _distilled(tmp_path, fabric, config, step=step, transfer_batch=transfer_batch)
    assert len(teacher.seeds) == 2  # once a step, however many micro-batches there are
    for number, seeds in enumerate(teacher.seeds):
        of_step = batches[number * parts : (number + 1) * parts]
        targets = torch.cat([batch.targets for batch in of_step if len(batch.targets)])
        pictures = torch.cat([batch.pictures for batch in of_step])
        assert len(pictures) == 8 + transfer_batch
        assert len(targets) == len(seeds) == asked
        assert torch.cat([batch.seeds for batch in of_step]).tolist()[-asked:] == seeds
        expected = teacher.network(normalise(pictures[-asked:], SPEC))
        assert torch.allclose(targets, expected, atol=1e-5)
        for batch in of_step:
            assert len(batch.targets) == (len(batch.pictures) if not transfer_batch else int((~batch.labelled).sum()))


def test_without_a_teacher_there_are_no_targets(fabric, tmp_path):
    seen = []

    def step(model, images, batch):
        seen.append(len(batch.targets))
        return STEP(model, images, batch)

    fit(_network(), _task(None, transfer_batch=8), step, FitConfig(epochs=1), fabric=fabric, folder=tmp_path)
    assert set(seen) == {0}


def test_a_student_comes_closer_to_its_teacher_on_images_without_masks(fabric, tmp_path):
    config = FitConfig(epochs=8, learning_rate=0.02, validations=1)
    step = distill_step(DistillationConfig(alpha=1.0), ignore_index=255, transfer_share=0.5)
    _, _, progress = _distilled(tmp_path, fabric, config, step=step, transfer_batch=8)
    assert progress.curve[-1]["train_loss"] < 0.8 * progress.curve[0]["train_loss"]


def test_repeated_views_ask_the_teacher_once(fabric, tmp_path):
    teacher = _Asked(caches_logits=True)
    calls = []
    forward = teacher.network.forward
    teacher.network.forward = lambda images: calls.append(len(images)) or forward(images)
    config = FitConfig(epochs=5, micro_batches=1, validations=1)  # 10 steps; the 24 images make 3 steps of 8
    _distilled(tmp_path, fabric, config, teacher=teacher, transfer_batch=8, views=2)
    assert calls == [8] * 3 * 2


@pytest.mark.parametrize("views", [0, 1])
def test_an_interrupted_distillation_ends_with_the_same_weights(views, fabric, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_SAVE_EVERY_S", -1.0)
    config = FitConfig(epochs=3, learning_rate=0.02, ema=0.9)
    plan = {"transfer_batch": 4, "views": views}
    whole, _, _ = _distilled(tmp_path / "whole", fabric, config, teacher=_Asked(caches_logits=views > 0), **plan)
    calls = itertools.count()
    step = distill_step(DistillationConfig(), ignore_index=255, transfer_share=1 / 3)

    def dying_step(model, images, batch):
        if next(calls) > 2 * 2 * 2:  # in the third epoch of two steps on two halves
            raise KeyboardInterrupt
        return step(model, images, batch)

    with pytest.raises(KeyboardInterrupt):
        _distilled(tmp_path / "parts", fabric, config, step=dying_step, teacher=_Asked(caches_logits=views > 0), **plan)
    resumed, _, progress = _distilled(
        tmp_path / "parts", fabric, config, teacher=_Asked(caches_logits=views > 0), **plan
    )
    assert progress.epoch == 3
    for name, tensor in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor), name


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_distillation_gives_the_same_weights_with_every_number_of_threads(precision, fabric, tmp_path):
    """The teacher, too, is asked in threads."""
    config = FitConfig(epochs=1, learning_rate=0.02, precision=precision)
    before = torch.get_num_threads()
    weights = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        teacher = _Asked(precision=precision)
        try:
            network, _, _ = _distilled(tmp_path / str(threads), fabric, config, teacher=teacher, transfer_batch=8)
        finally:
            torch.set_num_threads(before)
        weights.append(network.state_dict())
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())
