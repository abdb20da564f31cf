from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchseg.data import open_data
from torchseg.data.datasets.folder import folder
from torchseg.data.splits.folds import Fold, split_by_fold
from torchseg.data.splits.stratified import TEST, TRAIN, VALIDATION, Member


def _images(count, **changes):
    return [Member(**({"name": f"p{index:03}", "group": f"p{index:03}"} | changes)) for index in range(count)]


def _splits(members, count):
    return [split_by_fold(members, Fold(number, count)) for number in range(1, count + 1)]


@given(st.integers(5, 60), st.integers(3, 5))
def test_every_image_is_tested_and_validated_once(count, folds):
    splits = _splits(_images(count), folds)
    for name in (f"p{index:03}" for index in range(count)):
        seen = Counter(split[name] for split in splits)
        assert seen == {TEST: 1, VALIDATION: 1, TRAIN: folds - 2}


def test_forty_images_make_five_parts_of_eight():
    for split in _splits(_images(40), 5):
        assert Counter(split.values()) == {TRAIN: 24, VALIDATION: 8, TEST: 8}


@given(st.lists(st.integers(1, 4), min_size=10, max_size=30))
def test_a_group_is_never_divided(sizes):
    members = [
        Member(name=f"{group}-{index}", group=str(group)) for group, size in enumerate(sizes) for index in range(size)
    ]
    for split in _splits(members, 5):
        for group in range(len(sizes)):
            assert len({split[each.name] for each in members if each.group == str(group)}) == 1
        assert set(split.values()) == {TRAIN, VALIDATION, TEST}


@given(st.integers(5, 15), st.integers(0, 2**31))
def test_a_rare_class_is_in_as_many_test_parts_as_it_can_be(shown, seed):
    """Of 40 images, in an order that the seed gives, some show the class."""
    members = [
        Member(name=f"{seed}-{index}", group=f"{seed}-{index}", classes=frozenset({0, 1} if index < shown else {0}))
        for index in range(40)
    ]
    counts = [sum(split[each.name] == TEST for each in members if 1 in each.classes) for split in _splits(members, 5)]
    assert sum(counts) == shown
    assert max(counts) - min(counts) <= 1


def test_the_order_of_the_images_does_not_matter():
    members = _images(23)
    assert _splits(members, 4) == _splits(members[::-1], 4)


def test_fewer_groups_than_folds_are_refused():
    with pytest.raises(ValueError, match="9 images in 1 group cannot be cut into 3 folds; add images of other groups"):
        split_by_fold(_images(9, group="one"), Fold(1, 3))


@pytest.mark.parametrize("text", ["5", "2/", "two/5", "-1/5", "2/5/7"])
def test_a_fold_is_a_number_of_a_number(text):
    with pytest.raises(ValueError, match=f"fold is '{text}'; give N/K, e.g. 2/5 for the second of five"):
        Fold.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0/5", "give a number from 1 to 5"),
        ("6/5", "give a number from 1 to 5"),
        ("1/2", "fold asks for 2 folds; give 3 to 20"),
    ],
)
def test_a_fold_that_there_cannot_be_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        Fold.parse(text)


def test_a_folder_is_opened_by_fold(drawn_pictures):
    tested = [{sample.name for sample in folder(drawn_pictures, fold=f"{number}/5").test} for number in range(1, 6)]
    assert [len(names) for names in tested] == [6] * 5
    assert len(set.union(*tested)) == 30
    assert folder(drawn_pictures, fold="2/5").splits_chosen_by != folder(drawn_pictures, fold="3/5").splits_chosen_by


def test_given_splits_have_no_folds(drawn_pictures, tmp_path):
    with pytest.raises(ValueError, match="data set 'scenes' has splits of its own; drop --fold"):
        open_data("scenes", None, size=(32, 32), fold="1/5")
    with pytest.raises(ValueError, match="data set 'camvid' has splits of its own; drop --fold"):
        open_data("camvid", tmp_path, size=(32, 32), fold="1/5")
    (tmp_path / "images").symlink_to(drawn_pictures / "images")
    (tmp_path / "masks").symlink_to(drawn_pictures / "masks")
    for number, part in enumerate(("train", "validation", "test")):
        (tmp_path / f"{part}.txt").write_text(f"p{number}\n")
    with pytest.raises(ValueError, match=r"fold is 1/5, but .* has lists or folders of its splits"):
        folder(tmp_path, fold="1/5")
