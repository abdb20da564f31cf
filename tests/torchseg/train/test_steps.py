from __future__ import annotations

import pytest
import torch
from torch import nn

from torchseg.data import Batch
from torchseg.losses import distillation_loss, segmentation_loss
from torchseg.models import build_model
from torchseg.spec import ImageSpec
from torchseg.train import DistillationConfig, Teacher, distill_step, label_step

SPEC = ImageSpec(height=8, width=8, classes=("a", "b", "c"))
SMALL = {"base_width": 4, "depth": 1}


@pytest.fixture
def networks():
    teacher, student = (build_model("unet", SMALL, SPEC, seed=seed) for seed in (1, 2))
    return teacher.train(), student


@pytest.fixture
def batch():
    masks = torch.randint(0, 3, (4, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
    masks[2:] = 255
    labelled = torch.tensor([True, True, False, False])
    return Batch(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), masks, labelled, torch.arange(4))


def _images():
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_the_teacher_is_in_eval_mode_and_learns_nothing(networks, batch):
    teacher, student = networks
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    distill_step(Teacher(teacher), DistillationConfig(), ignore_index=255)(student, _images(), batch).backward()
    assert not teacher.training
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in teacher.state_dict().items())


def test_alpha_mixes_both_opinions(networks, batch):
    teacher, student = networks
    student.eval()
    images = _images()
    step = distill_step(Teacher(teacher), DistillationConfig(alpha=0.25, temperature=2.0), ignore_index=255)
    labelled = Batch(*(tensor[:2] for tensor in batch))
    soft = distillation_loss(student(images[:2]), teacher(images[:2]), temperature=2.0)  # no pixel here is ignored
    hard = segmentation_loss(student(images[:2]), labelled.masks, ignore_index=255)
    assert step(student, images[:2], labelled).item() == pytest.approx((0.25 * soft + 0.75 * hard).item(), rel=1e-5)


def test_on_pictures_without_masks_every_pixel_asks_the_teacher(networks, batch):
    teacher, student = networks
    student.eval()
    step = distill_step(Teacher(teacher), DistillationConfig(alpha=1.0), ignore_index=255)
    only_transfer = Batch(*(tensor[2:] for tensor in batch))
    assert step(student, _images()[2:], only_transfer) > 1e-4


def test_ignored_pixels_of_labelled_pictures_ask_nobody(networks, batch):
    teacher, student = networks
    student.eval()
    step = distill_step(Teacher(teacher), DistillationConfig(), ignore_index=255)
    all_ignored = Batch(*(tensor[2:] for tensor in batch))._replace(labelled=torch.tensor([True, True]))
    assert step(student, _images()[2:], all_ignored).item() == pytest.approx(0, abs=1e-6)


def test_labels_alone_are_the_segmentation_loss(networks, batch):
    _, student = networks
    student.eval()
    expected = segmentation_loss(student(_images()), batch.masks, ignore_index=255)
    assert label_step(ignore_index=255)(student, _images(), batch).item() == pytest.approx(expected.item())


def test_another_soft_loss_takes_the_place_of_the_mean(networks, batch):
    teacher, student = networks
    student.eval()
    mean, total = (
        distill_step(Teacher(teacher), DistillationConfig(alpha=1.0, soft_loss=name), ignore_index=255)(
            student, _images(), batch
        ).item()
        for name in ("mean", "picture_sum")
    )
    assert total == pytest.approx(8 * 8 * mean, rel=1e-5)  # no pixel here is ignored


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"temperature": 0}, "positive"), ({"alpha": -0.1}, "share in"), ({"soft_loss": "sum"}, "choose from mean")],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        DistillationConfig(**changes)


def test_where_there_is_no_mask_the_teachers_classes_stand_in_for_it(networks, batch):
    teacher, student = networks
    student.eval()
    images = _images()
    step = distill_step(Teacher(teacher), DistillationConfig(alpha=0.0), ignore_index=255)
    masks = batch.masks.clone()
    masks[2:] = teacher(images[2:]).argmax(dim=1).byte()
    expected = segmentation_loss(student(images), masks, ignore_index=255)
    assert step(student, images, batch).item() == pytest.approx(expected.item())


class Counted(nn.Module):
    def __init__(self):
        super().__init__()
        self.asked = 0

    def forward(self, images):
        self.asked += 1
        return images / 3


IMAGES, SEEDS = torch.arange(16.0).view(2, 2, 2, 2), torch.tensor([5, 6])


def test_a_batch_that_comes_again_is_answered_from_memory():
    network = Counted()
    teacher = Teacher(network, caches_logits=True)
    first, second = teacher(IMAGES, SEEDS), teacher(IMAGES, SEEDS)
    assert network.asked == 1
    assert torch.equal(first, second)
    assert torch.allclose(first, IMAGES / 3, rtol=1e-3)


def test_other_views_are_asked_for():
    network = Counted()
    teacher = Teacher(network, caches_logits=True)
    teacher(IMAGES, SEEDS)
    teacher(IMAGES, SEEDS + 1)
    assert network.asked == 2


def test_what_finds_no_room_is_asked_again_and_gets_the_same_answer():
    network = Counted()
    teacher = Teacher(network, caches_logits=True, room_bytes=IMAGES.numel() * 2)
    answers = [teacher(IMAGES + 1, SEEDS + 1), teacher(IMAGES, SEEDS), teacher(IMAGES, SEEDS)]
    assert network.asked == 3
    assert torch.equal(answers[1], answers[2])


def test_nothing_is_kept_unless_asked_to():
    network = Counted()
    teacher = Teacher(network)
    assert torch.equal(teacher(IMAGES, SEEDS), IMAGES / 3)
    teacher(IMAGES, SEEDS)
    assert network.asked == 2
