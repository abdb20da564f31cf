from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from torchseg.harness.scoring.gallery import choose, choose_of_classes


def test_the_best_the_median_and_the_worst_are_chosen():
    scores = [number / 100 for number in range(100)]
    assert choose(scores) == [
        ("best", 99), ("best", 98), ("median", 50), ("median", 49), ("worst", 1), ("worst", 0)
    ]  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_no_picture_is_chosen_twice_and_the_ranks_are_in_order(scores):
    chosen = choose(scores)
    indices = [at for _, at in chosen]
    assert len(set(indices)) == len(indices) == min(len(scores), 6)
    assert [scores[at] for at in indices] == sorted((scores[at] for at in indices), reverse=True)


def test_a_picture_of_which_nothing_is_known_is_chosen_only_when_alone():
    nan = float("nan")
    assert choose([nan, 0.5]) == [("best", 1)]
    assert choose([nan]) == [("best", 0)]


def test_the_worst_image_of_each_class_is_added_once_and_the_worst_classes_come_first():
    worst = {0: (0.9, 4), 1: (0.1, 7), 2: (0.5, 7), 3: (0.2, 5)}
    classes = ("ground", "wire", "ring", "sky")
    assert choose_of_classes(worst, classes, taken=[4]) == [("worst wire, ring", 7), ("worst sky", 5)]
    assert choose_of_classes(worst, classes, taken=[], most=1) == [("worst wire", 7)]
