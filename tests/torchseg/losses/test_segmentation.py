from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchseg.losses import segmentation_loss


def _case(seed, classes=4):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.randint(0, classes, (2, 6, 8), generator=generator)
    return torch.randn(2, classes, 6, 8, generator=generator), mask


@given(st.integers(0, 2**31 - 1))
def test_ignored_pixels_do_not_count(seed):
    logits, mask = _case(seed)
    mask[:, :3] = 255
    changed = logits.clone()
    changed[:, :, :3] += 5 * torch.randn(2, 4, 3, 8, generator=torch.Generator().manual_seed(seed))
    before, after = (segmentation_loss(each, mask, ignore_index=255).item() for each in (logits, changed))
    assert before == pytest.approx(after, rel=1e-5)


def test_a_certain_and_right_network_costs_nothing():
    _, mask = _case(0)
    logits = 50 * torch.nn.functional.one_hot(mask, 4).permute(0, 3, 1, 2).float()
    assert segmentation_loss(logits, mask, ignore_index=255).item() == pytest.approx(0, abs=1e-3)


def test_all_pixels_ignored_costs_nothing_and_gives_a_finite_gradient():
    logits, mask = _case(0)
    logits.requires_grad_()
    loss = segmentation_loss(logits, torch.full_like(mask, 255), ignore_index=255)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(logits.grad).all()


def test_repeating_the_batch_changes_nothing():
    logits, mask = _case(0)
    once = segmentation_loss(logits, mask, ignore_index=255)
    twice = segmentation_loss(logits.repeat(2, 1, 1, 1), mask.repeat(2, 1, 1), ignore_index=255)
    assert once.item() == pytest.approx(twice.item(), rel=1e-5)
