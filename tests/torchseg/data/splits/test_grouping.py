from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchseg.data.splits.grouping import group_images, look_alikes, thumbnail


def _photo(seed, *, shift=0):
    """A smooth image of 64x64, moved to the right by some pixels."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:64, :64]
    waves = sum(
        random.uniform(10, 30)
        * np.sin(random.uniform(0.02, 0.15) * rows + random.uniform(0.02, 0.15) * (columns - shift))
        for _ in range(4)
    )
    return np.clip(waves + 128 + np.zeros((3, 1, 1)), 0, 255).transpose(1, 2, 0).astype(np.uint8)


def test_neighbouring_frames_are_grouped_and_other_images_are_not():
    frames = [_photo(0, shift=each) for each in range(3)]
    others = [_photo(seed) for seed in range(1, 7)]
    thumbnails = [thumbnail(each) for each in [*others[:2], *frames, *others[2:]]]
    assert look_alikes(thumbnails) == [0, 1, 2, 2, 2, 5, 6, 7, 8]


def test_a_chain_of_frames_is_one_group_although_its_ends_differ():
    chain = [thumbnail(_photo(0, shift=1.5 * each)) for each in range(8)]
    others = [thumbnail(_photo(seed)) for seed in range(1, 18)]
    assert look_alikes([chain[0], chain[-1], *others])[:2] == [0, 1]
    assert set(look_alikes([*chain, *others])[:8]) == {0}


def test_when_most_images_look_alike_looks_group_nothing():
    frames = [thumbnail(_photo(0, shift=each / 4)) for each in range(8)]
    assert look_alikes([*frames, thumbnail(_photo(1))]) == list(range(9))


def test_blank_images_have_no_content_to_compare():
    blank = [thumbnail(np.full((32, 32, 3), value, np.uint8)) for value in (250, 250, 251)]
    assert look_alikes([*blank, thumbnail(_photo(1))]) == [0, 1, 2, 3]


def test_no_images_have_no_groups():
    assert look_alikes([]) == []


@given(st.integers(0, 2**31 - 1), st.integers(1, 6))
def test_a_thumbnail_has_the_mean_of_the_image(seed, bands):
    picture = np.random.default_rng(seed).integers(0, 256, (48, 32, bands)).astype(np.uint8)
    small = thumbnail(picture)
    assert small.shape == (16, 16)
    assert abs(small.mean() - picture.mean()) < 1


def _names(*paths):
    return {Path(path): Path(path).stem for path in paths}


def _photo_of(path):
    """Images of one name before its underscore look alike."""
    return _photo(sum(map(ord, path.stem.partition("_")[0])))


def _refuse(path):
    raise AssertionError("no image need be read")


def test_images_in_several_folders_are_grouped_by_folder_and_not_read():
    names = _names("a/0.png", *(f"{name}/{name}.png" for name in "abcdef"))
    groups, note = group_images(names, "auto", read=_refuse)
    assert list(groups.values()) == ["a", "a", "b", "c", "d", "e", "f"]
    assert note == "the images of a folder stay in one split (6 folders)"


def test_a_few_folders_group_images_only_if_asked_to():
    names = _names("a/1.png", "a/2.png", "b/3.png")
    assert list(group_images(names, "folder", read=_refuse)[0].values()) == ["a", "a", "b"]
    groups, _ = group_images(names, "auto", read=lambda path: _photo(int(path.stem)))
    assert list(groups.values()) == ["1", "2", "3"]


def test_images_of_one_folder_are_grouped_by_their_looks():
    names = _names(*(f"{name}.png" for name in ("cat_1", "cat_2", "dog", "elk", "fox", "gnu", "hen")))
    groups, note = group_images(names, "auto", read=_photo_of)
    assert list(groups.values()) == ["cat_1", "cat_1", "dog", "elk", "fox", "gnu", "hen"]
    assert note.startswith("2 images look like others and form 1 groups (largest: 2)")


def test_many_images_are_not_read_only_to_be_split():
    names = _names(*(f"{index}.png" for index in range(301)))
    assert group_images(names, "auto", read=_refuse) == (names, "")
    assert group_images(names, "none", read=_refuse) == (names, "")


@pytest.mark.parametrize("pattern", ["^seq[0-9]+", "(seq[0-9]+)_"])
def test_a_pattern_groups_names_by_what_it_finds_in_them(pattern):
    names = _names("seq1_01.png", "seq1_02.png", "seq22_01.png", "other.png")
    groups, _ = group_images(names, pattern, read=_refuse)
    assert list(groups.values()) == ["=seq1", "=seq1", "=seq22", "other"]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("folder", "group is 'folder', but all images are in one folder; give a regular expression"),
        ("(", r"group is '\(', which is no regular expression .*give auto, none, folder or e.g. '\^seq"),
        ("clip", "group is 'clip', which is in no image's name .the first is a.; give auto"),
    ],
)
def test_a_grouping_that_cannot_be_is_refused(how, message):
    with pytest.raises(ValueError, match=message):
        group_images(_names("a.png", "b.png"), how, read=_refuse)
