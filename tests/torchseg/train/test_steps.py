from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchseg.config.distillation import DistillationConfig
from torchseg.data import Batch
from torchseg.losses import SOFT_LOSSES, feature_loss, parse_terms, segmentation_loss, soft_loss
from torchseg.models import build_model
from torchseg.spec import ImageSpec
from torchseg.train import Teacher, distill_step, label_step
from torchseg.train.data_parallel import DataParallel, replica

SPEC = ImageSpec(height=8, width=8, classes=("a", "b", "c"))
SMALL = {"base_width": 4, "depth": 1}
HALF = 0.5  # the share of images without masks in `batch`


@pytest.fixture
def networks():
    teacher, student = (build_model("unet", SMALL, SPEC, seed=seed) for seed in (1, 2))
    return teacher.train(), student.eval()


def _images(count=4):
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def _batch(labelled, unlabelled):
    count = labelled + unlabelled
    masks = torch.randint(0, 3, (count, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
    masks[labelled:] = 255
    has_mask = torch.arange(count) < labelled
    return Batch(torch.zeros(count, 3, 8, 8, dtype=torch.uint8), masks, has_mask, torch.arange(count))


@pytest.fixture
def batch(networks):
    """Two images with masks, and two without, about which the teacher was asked."""
    return _batch(2, 2)._replace(targets=Teacher(networks[0])(_images()[2:], torch.arange(2)))


@pytest.fixture
def labelled(networks):
    """Two images with masks, about which the teacher was asked."""
    return _batch(2, 0)._replace(targets=Teacher(networks[0])(_images()[:2], torch.arange(2)))


def _soft(student, teacher, *, terms="kl+dice", temperature=1.0, **options):
    parsed = parse_terms(terms, known=SOFT_LOSSES, flag="soft_loss")
    return soft_loss(student, teacher, terms=parsed, temperature=temperature, **options)


@pytest.mark.parametrize("terms", ["kl", "kl+0.5*dice"])
def test_alpha_mixes_both_opinions(terms, networks, labelled):
    _, student = networks
    images = _images()[:2]
    config = DistillationConfig(alpha=0.25, temperature=2.0, soft_loss=terms)
    step = distill_step(config, ignore_index=255)
    logits = student(images)
    soft = _soft(logits, labelled.targets, terms=terms, temperature=2.0)  # no pixel here is ignored
    hard = segmentation_loss(logits, labelled.masks, ignore_index=255)
    assert step(student, images, labelled).item() == pytest.approx((0.25 * soft + 0.75 * hard).item(), rel=1e-5)


def test_images_with_masks_ask_the_masks_alone_and_those_without_ask_the_teacher_alone(networks, batch):
    _, student = networks
    step = distill_step(DistillationConfig(alpha=0.25, temperature=2.0), ignore_index=255, transfer_share=HALF)
    logits = student(_images())
    hard = segmentation_loss(logits[:2], batch.masks[:2], ignore_index=255)
    soft = _soft(logits[2:], batch.targets, temperature=2.0)
    assert step(student, _images(), batch).item() == pytest.approx((0.25 * soft + 0.75 * hard).item(), rel=1e-5)


@pytest.mark.parametrize("unlabelled", [1, 2, 5])
def test_the_weights_of_both_losses_do_not_depend_on_the_mixture_of_the_batch(unlabelled, networks):
    """More images without masks make the teacher's opinion more exact and not louder."""
    teacher, student = networks
    images, batch = _images(2 + unlabelled), _batch(2, unlabelled)
    batch = batch._replace(targets=Teacher(teacher)(images[2:], batch.seeds[2:]))
    step = distill_step(DistillationConfig(), ignore_index=255, transfer_share=unlabelled / (2 + unlabelled))
    logits = student(images)
    hard = segmentation_loss(logits[:2], batch.masks[:2], ignore_index=255)
    soft = _soft(logits[2:], batch.targets)
    assert step(student, images, batch).item() == pytest.approx((0.5 * soft + 0.5 * hard).item(), rel=1e-5)


def test_on_pictures_without_masks_every_pixel_asks_the_teacher(networks, batch):
    _, student = networks
    step = distill_step(DistillationConfig(alpha=1.0), ignore_index=255)
    loss = step(student, _images()[2:], batch.rows(2, 4))
    assert loss.item() == pytest.approx(_soft(student(_images()[2:]), batch.targets).item(), rel=1e-5)
    assert loss > 1e-4


def test_ignored_pixels_of_labelled_pictures_ask_nobody(networks, batch):
    _, student = networks
    step = distill_step(DistillationConfig(), ignore_index=255)
    all_ignored = batch.rows(2, 4)._replace(labelled=torch.tensor([True, True]))
    assert len(all_ignored.targets) == 2
    assert step(student, _images()[2:], all_ignored).item() == pytest.approx(0, abs=1e-6)


def test_some_ignored_pixels_of_labelled_pictures_are_left_out_of_the_teachers_opinion(networks, labelled):
    _, student = networks
    masks = labelled.masks.clone()
    masks[:, :3] = 255
    step = distill_step(DistillationConfig(alpha=1.0), ignore_index=255)
    expected = _soft(student(_images()[:2])[:, :, 3:], labelled.targets[:, :, 3:])
    loss = step(student, _images()[:2], labelled._replace(masks=masks))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_labels_alone_are_the_segmentation_loss(networks, batch):
    _, student = networks
    expected = segmentation_loss(student(_images()), batch.masks, ignore_index=255)
    assert label_step(ignore_index=255)(student, _images(), batch).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_at_the_ends_of_its_range_alpha_leaves_one_opinion(alpha, networks, batch):
    _, student = networks
    step = distill_step(DistillationConfig(alpha=alpha), ignore_index=255, transfer_share=HALF)
    logits = student(_images())
    expected = [segmentation_loss(logits[:2], batch.masks[:2], ignore_index=255), _soft(logits[2:], batch.targets)]
    assert step(student, _images(), batch).item() == pytest.approx(expected[int(alpha)].item(), rel=1e-5)


def test_another_soft_loss_takes_the_place_of_the_mean(networks, labelled):
    _, student = networks
    mean, total = (
        distill_step(DistillationConfig(alpha=1.0, soft_loss=name), ignore_index=255)(
            student, _images()[:2], labelled
        ).item()
        for name in ("kl", "picture_sum")
    )
    assert total == pytest.approx(8 * 8 * mean, rel=1e-5)  # no pixel here is ignored


def test_another_loss_on_masks_takes_the_place_of_the_default(networks, batch):
    _, student = networks
    seen = []

    def loss(logits, masks, *, ignore_index):
        seen.append((len(logits), len(masks), ignore_index))
        return logits.sum() * 0 + 3

    step = distill_step(DistillationConfig(alpha=0.0), ignore_index=255, transfer_share=HALF, loss=loss)
    assert step(student, _images(), batch).item() == pytest.approx(3)
    assert seen == [(2, 2, 255)]


def test_a_soft_loss_that_is_none_is_refused_before_the_first_step():
    with pytest.raises(ValueError, match=r"soft_loss 'sum' names 'sum'.*; choose from kl, dice"):
        distill_step(DistillationConfig(soft_loss="sum"), ignore_index=255)


def test_the_targets_get_no_gradient(networks, batch):
    _, student = networks
    targets = batch.targets.requires_grad_()
    distill_step(DistillationConfig(), ignore_index=255)(student, _images(), batch).backward()
    assert targets.grad is None
    assert all(parameter.grad is not None for parameter in student.parameters())


@pytest.mark.parametrize(("first", "last"), [(0, 2), (2, 4)])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_every_micro_batch_reaches_every_parameter_even_if_nothing_in_it_counts(first, last, alpha, networks, batch):
    """A process of a data-parallel training waits for gradients of all."""
    _, student = networks
    step = distill_step(DistillationConfig(alpha=alpha), ignore_index=255, transfer_share=HALF)
    step(student, _images()[first:last], batch.rows(first, last)).backward()
    assert all(parameter.grad is not None for parameter in student.parameters())


def _learned(networks, batch, step):
    """Loss and gradient of a batch, by the first network or in one micro-batch per network."""
    network = networks[0]
    network.zero_grad()
    images = _images(len(batch.pictures))
    at = batch._replace(pictures=images)  # micro-batches take their images along
    loss = DataParallel(networks, torch.Tensor.backward).learn(lambda net, part: step(net, part.pictures, part), at)
    return loss.item(), [parameter.grad.clone() for parameter in network.parameters()]


@given(st.sampled_from(sorted(SOFT_LOSSES)), st.floats(0, 1), st.integers(1, 4))
def test_labelled_and_unlabelled_halves_give_the_loss_and_gradient_of_the_whole(name, alpha, half):
    """Without batch norm, whichever terms the losses have: each is computed in one of the halves alone."""
    teacher = build_model("unet", SMALL, SPEC, seed=1)
    student = build_model("unet", SMALL | {"batch_norm": False}, SPEC, seed=2)
    batch = _batch(half, half)
    batch = batch._replace(targets=Teacher(teacher)(_images(2 * half)[half:], batch.seeds[half:]))
    step = distill_step(DistillationConfig(alpha=alpha, soft_loss=name), ignore_index=255, transfer_share=HALF)
    whole, split = (_learned(nets, batch, step) for nets in ([student], [student, replica(student)]))
    assert split[0] == pytest.approx(whole[0], rel=1e-5)
    for mine, theirs in zip(split[1], whole[1], strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()) + 1e-7)  # float32


@pytest.mark.parametrize(("labelled", "unlabelled"), [(4, 2), (2, 4), (3, 2), (4, 0)])
def test_micro_batches_of_another_mixture_give_a_mean_over_pixels_as_the_whole_does(labelled, unlabelled):
    """A mean per pixel may be cut anywhere; other terms (Dice) are then means over micro-batches."""
    teacher = build_model("unet", SMALL, SPEC, seed=1)
    student = build_model("unet", SMALL | {"batch_norm": False}, SPEC, seed=2)
    batch = _batch(labelled, unlabelled)
    asked = labelled if unlabelled else 0
    batch = batch._replace(targets=Teacher(teacher)(_images(labelled + unlabelled)[asked:], batch.seeds[asked:]))

    def cross_entropy(logits, mask, *, ignore_index):
        return segmentation_loss(logits, mask, ignore_index=ignore_index, terms={"cross_entropy": 1.0})

    step = distill_step(
        DistillationConfig(soft_loss="kl"),
        ignore_index=255,
        transfer_share=unlabelled / (labelled + unlabelled),
        loss=cross_entropy,
    )
    whole, split = (_learned(nets, batch, step) for nets in ([student], [student, replica(student)]))
    assert split[0] == pytest.approx(whole[0], rel=1e-5)
    for mine, theirs in zip(split[1], whole[1], strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-4, atol=1e-6)


def test_features_after_the_logits_count_with_their_weight(networks, batch):
    _, student = networks
    generator = torch.Generator().manual_seed(0)
    ours, theirs = (torch.randn(2, 6, *batch.targets.shape[2:], generator=generator) for _ in range(2))
    both = batch.rows(2, 4)._replace(targets=torch.cat([batch.targets, theirs], dim=1))
    options = {"ignore_index": 255, "num_classes": batch.targets.shape[1], "feature_weight": 0.5}
    step = distill_step(DistillationConfig(alpha=0.25), **options)
    alone = step(student, _images()[2:], both)
    assert alone.item() == pytest.approx(0.25 * _soft(student(_images()[2:]), batch.targets).item(), rel=1e-5)
    loss = step(lambda images: torch.cat([student(images), ours], dim=1), _images()[2:], both)
    assert (loss - alone).item() == pytest.approx(0.25 * 0.5 * feature_loss(ours, theirs).item(), rel=1e-4)
