from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchseg.data.splits.stratified import TEST, TRAIN, VALIDATION, Member, split_images

SPLITS = (TRAIN, VALIDATION, TEST)
sets_of_classes = st.frozensets(st.integers(0, 4), max_size=3)


def _images(count, **changes):
    return [Member(**({"name": f"p{index:03}", "group": f"p{index:03}"} | changes)) for index in range(count)]


@pytest.mark.parametrize(
    ("count", "held"), [(3, 1), (8, 2), (9, 3), (10, 3), (20, 3), (30, 4), (40, 6), (60, 9), (1000, 150)]
)
def test_validation_and_test_get_exact_shares_and_at_least_three_images(count, held):
    counts = Counter(split_images(_images(count)).values())
    assert counts == {TRAIN: count - 2 * held, VALIDATION: held, TEST: held}


@given(st.lists(sets_of_classes, min_size=10, max_size=60))
def test_every_class_that_enough_images_show_is_in_every_split(shown):
    members = [Member(name=str(index), group=str(index), classes=each) for index, each in enumerate(shown)]
    split = split_images(members)
    counts = Counter(split.values())
    assert counts[VALIDATION] == counts[TEST] == max(3, round(0.15 * len(members)))
    shows = Counter(each for one in shown for each in one)
    rarest = min(((images, number) for number, images in shows.items() if images >= 3), default=(0, -1))[1]
    for number, images in shows.items():
        found = {split[member.name] for member in members if number in member.classes}
        if images >= 12 or number == rarest:
            assert found == set(SPLITS), (number, images)


@given(st.lists(st.integers(1, 4), min_size=12, max_size=40))
def test_a_group_is_never_divided(sizes):
    members = [
        Member(name=f"{group}-{index}", group=str(group)) for group, size in enumerate(sizes) for index in range(size)
    ]
    split = split_images(members)
    assert set(split) == {member.name for member in members}
    for group in range(len(sizes)):
        assert len({split[member.name] for member in members if member.group == str(group)}) == 1
    quota = round(0.15 * len(members))
    counts = Counter(split.values())
    assert all(max(3, quota) - 3 <= counts[each] <= max(4, quota) for each in (VALIDATION, TEST))


def test_large_groups_leave_something_for_every_split():
    members = [Member(name=f"{group}{index}", group=group) for group in "abc" for index in range(10)]
    assert Counter(split_images(members).values()) == {TRAIN: 10, VALIDATION: 10, TEST: 10}


@given(st.integers(10, 60), st.integers(0, 999))
def test_a_new_image_moves_at_most_one_old_one_per_split(count, new):
    before = split_images(_images(count))
    after = split_images([*_images(count), Member(name=f"new{new}", group=f"new{new}")])
    moved = Counter(after[name] for name, split in before.items() if after[name] != split)
    assert sum(moved.values()) <= 4
    assert all(number <= 2 for number in moved.values())


def test_the_order_of_the_images_does_not_matter():
    members = [Member(name=str(index), group=str(index // 2), classes=frozenset({index % 3})) for index in range(30)]
    assert split_images(members) == split_images(members[::-1])


def test_fewer_than_three_groups_are_refused():
    members = [Member(name=f"{group}{index}", group=group) for group in "ab" for index in range(10)]
    with pytest.raises(ValueError, match="20 images in 2 groups cannot be split into train, validation and test; add"):
        split_images(members)
