from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tf_bridge.certify.parity import Parity
from tf_bridge.certify.verdict import MAX_DROP
from torchseg.pipeline.export import budget
from torchseg.pipeline.export.budget import Budget, FloatChoice, choose_float_layers

IMAGE = np.zeros((1, 3, 8, 8), np.float32)
BUDGET = Budget.of_points(1.0, None)


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


class Letters:
    """A mixed file that holds the names of its float layers."""

    layers = ("a", "b", "c")

    def write(self, path, *, float_layers):
        path.write_text("".join(sorted(float_layers)))


def losing(costs):
    """What the layers that are not in float lose, in points of mean IoU."""

    def measure(path: Path) -> Parity:
        drop = sum(cost for layer, cost in costs.items() if layer not in path.read_text()) / 100
        return Parity(
            max_abs_error=drop,
            mean_abs_error=drop,
            logit_range=1.0,
            argmax_agreement=1.0,
            iou_difference=(-drop, -drop),
            miou_drop=drop,
            worst_image=0,
        )

    return measure


@pytest.fixture
def plain(tmp_path, monkeypatch):
    monkeypatch.setattr(budget, "_latency_ratio", lambda ours, theirs, image: 1.25)
    path = tmp_path / "net.int8.onnx"
    path.write_text("-")
    return path


def test_the_file_is_replaced_by_one_that_holds_the_budget(plain):
    choice = choose_float_layers(Letters(), plain, losing({"a": 0.2, "b": 3.0, "c": 0.2}), BUDGET, image=IMAGE)
    assert choice == FloatChoice(layers=("b",), latency_ratio=1.25)
    assert plain.read_text() == "b"


def test_the_file_stays_where_nothing_holds_the_budget(plain):
    choice = choose_float_layers(Letters(), plain, losing(dict.fromkeys("abc", 2.0)), BUDGET, image=IMAGE)
    assert choice == FloatChoice()
    assert plain.read_text() == "-"


def test_no_choice_is_measured_twice(plain):
    measured = []
    measure = losing({"a": 0.2, "b": 3.0, "c": 3.0})
    choose_float_layers(
        Letters(), plain, lambda path: measured.append(path.read_text()) or measure(path), BUDGET, image=IMAGE
    )
    assert len(measured) == len(set(measured))
