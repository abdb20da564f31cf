from __future__ import annotations

import pytest

from tf_bridge.certify.parity import MAX_DROP, Parity
from torchseg.pipeline.export.budget import Budget


def _losing(drop, *differences):
    return Parity(
        max_abs_error=0.0,
        mean_abs_error=0.0,
        logit_range=1.0,
        argmax_agreement=1.0,
        iou_difference=differences,
        miou_drop=drop,
        worst_image=0,
    )


def test_points_become_shares_and_a_class_may_lose_four_times_as_much():
    budget = Budget.of_points(0.5, None)
    assert (budget.drop, budget.class_drop, budget.mixed) == (0.005, 0.02, True)
    assert Budget.of_points(0.5, 1.0).class_drop == 0.01


def test_without_points_nothing_is_mixed_and_no_class_is_watched():
    assert Budget.of_points(None, None) == Budget(drop=MAX_DROP, class_drop=None, mixed=False)


def test_the_worse_of_mean_and_class_counts():
    budget = Budget.of_points(1.0, 2.0)
    assert budget.share_used(_losing(0.005, 0.0, -0.01)) == pytest.approx(0.5)
    assert budget.share_used(_losing(0.005, 0.01, -0.03, None)) == pytest.approx(1.5)
    assert budget.share_used(_losing(-0.01, 0.01, 0.01)) == 0
