from __future__ import annotations

import math
from typing import get_args, get_type_hints

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchseg.config import DistillConfig
from torchseg.losses import SOFT_LOSSES, distillation_loss

seeds = st.integers(0, 2**31 - 1)
temperatures = st.floats(0.5, 10)


def _logits(seed, shape=(2, 3, 4, 5)):
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@given(seeds, temperatures)
def test_agreeing_networks_cost_nothing(seed, temperature):
    logits = _logits(seed)
    assert distillation_loss(logits, logits, temperature=temperature).item() == pytest.approx(0, abs=1e-5)


@given(seeds, temperatures)
def test_the_loss_is_never_negative(seed, temperature):
    assert distillation_loss(_logits(seed), _logits(seed + 1), temperature=temperature) > -1e-6


@given(seeds, st.integers(1, 3), st.integers(1, 3))
def test_picture_and_batch_size_do_not_matter(seed, copies, tiles):
    student, teacher = _logits(seed), _logits(seed + 1)
    once = distillation_loss(student, teacher, temperature=2.0)
    larger = [logits.repeat(copies, 1, tiles, tiles) for logits in (student, teacher)]
    assert distillation_loss(*larger, temperature=2.0).item() == pytest.approx(once.item(), rel=1e-4)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_two_classes_follow_the_closed_form(temperature):
    """KL of Bernoulli distributions with logit differences s and t, by hand."""
    s, t = 0.7, -1.3
    p, q = (1 / (1 + math.exp(-z / temperature)) for z in (t, s))
    expected = temperature**2 * (p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q)))
    student, teacher = (torch.tensor([z, 0.0]).view(1, 2, 1, 1) for z in (s, t))
    assert distillation_loss(student, teacher, temperature=temperature).item() == pytest.approx(expected, rel=1e-5)


def test_the_softmax_runs_over_classes_and_not_over_the_width():
    student, teacher = _logits(0), _logits(1)
    shifted = teacher + torch.randn(2, 1, 4, 5, generator=torch.Generator().manual_seed(2))  # the same opinion
    expected = distillation_loss(student, teacher, temperature=1.0).item()
    assert distillation_loss(student, shifted, temperature=1.0).item() == pytest.approx(expected, rel=1e-4)


def test_only_valid_pixels_count():
    student, teacher = _logits(0), _logits(1)
    valid = torch.zeros(2, 4, 5, dtype=torch.bool)
    valid[0, :2] = True
    expected = distillation_loss(student[:1, :, :2], teacher[:1, :, :2], temperature=3.0)
    assert distillation_loss(student, teacher, temperature=3.0, valid=valid).item() == pytest.approx(expected.item())


def test_no_valid_pixel_costs_nothing():
    valid = torch.zeros(2, 4, 5, dtype=torch.bool)
    assert distillation_loss(_logits(0), _logits(1), temperature=1.0, valid=valid) == 0


def test_the_teacher_gets_no_gradient():
    student, teacher = _logits(0).requires_grad_(), _logits(1).requires_grad_()
    distillation_loss(student, teacher, temperature=1.0).backward()
    assert student.grad is not None
    assert teacher.grad is None


def test_half_precision_logits_are_compared_in_float32():
    student, teacher = _logits(0).bfloat16(), _logits(1).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = distillation_loss(student, teacher, temperature=4.0)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(distillation_loss(student.float(), teacher.float(), temperature=4.0).item())


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"student logits are \(2, 3, 4, 5\) and teacher logits \(2, 2, 4, 5\)"):
        distillation_loss(_logits(0), _logits(1)[:, :2], temperature=1.0)


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(ValueError, match="temperature is 0; give a positive number"):
        distillation_loss(_logits(0), _logits(1), temperature=0)


def test_the_flag_names_the_table():
    assert set(get_args(get_type_hints(DistillConfig)["soft_loss"])) == set(SOFT_LOSSES)


@pytest.mark.parametrize("name", SOFT_LOSSES)
def test_agreeing_networks_cost_nothing_whichever_way_they_are_compared(name):
    assert SOFT_LOSSES[name](_logits(0), _logits(0), temperature=2.0).item() == pytest.approx(0, abs=1e-5)


def test_the_sum_over_a_picture_grows_with_it():
    student, teacher = _logits(0), _logits(1)
    mean, total = (SOFT_LOSSES[name](student, teacher, temperature=2.0) for name in ("mean", "picture_sum"))
    assert total.item() == pytest.approx(4 * 5 * mean.item(), rel=1e-5)
    valid = torch.zeros(2, 4, 5, dtype=torch.bool)
    valid[0, 0, :3] = True
    mean, total = (
        SOFT_LOSSES[name](student, teacher, temperature=2.0, valid=valid) for name in ("mean", "picture_sum")
    )
    assert total.item() == pytest.approx(3 / 2 * mean.item(), rel=1e-5)


def test_a_softmax_over_the_width_does_not_see_which_class_wins():
    student = _logits(0)
    teacher = student.clone()
    teacher[:, 0] += 100.0  # says class 0 everywhere, and that equally along every row
    assert SOFT_LOSSES["over_width"](student, teacher, temperature=1.0).item() == pytest.approx(0, abs=1e-5)
    assert SOFT_LOSSES["mean"](student, teacher, temperature=1.0) > 1
