from __future__ import annotations

from typing import get_args, get_type_hints

import pytest
import torch

from torchseg.config import DistillConfig
from torchseg.losses import SOFT_LOSSES


def _logits(seed, shape=(2, 3, 4, 5)):
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_the_flag_names_the_table():
    assert set(get_args(get_type_hints(DistillConfig)["soft_loss"])) == set(SOFT_LOSSES)


@pytest.mark.parametrize("name", SOFT_LOSSES)
def test_agreeing_networks_cost_nothing(name):
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
