from __future__ import annotations

import numpy as np
import pytest

from torchseg.data import LabelRules, PatchPlan, open_data, parse_rules
from torchseg.data.datasets.folder import folder
from torchseg.data.images.reader import ImageReader


@pytest.fixture
def root(write_pair, tmp_path):
    for number in range(30):
        write_pair(f"picture{number}", values=(0, 1, 2, 3, 255))
    (tmp_path / "classes.txt").write_text("road\nparking\nsky\ncar\n")
    return tmp_path


def _rules(merge="", ignore_classes=""):
    return parse_rules(mask_suffix="", ignore_value=None, merge=merge, ignore_classes=ignore_classes)


@pytest.mark.parametrize(
    ("merge", "ignored", "classes", "numbers"),
    [
        ("road,parking -> drivable", "", ("drivable", "sky", "car"), [0, 0, 1, 2]),
        ("parking->road", "", ("road", "sky", "car"), [0, 0, 1, 2]),
        ("sky -> road; car -> parking", "", ("road", "parking"), [0, 1, 0, 1]),
        ("road,parking -> drivable", "sky", ("drivable", "car"), [0, 0, 255, 1]),
        ("road,parking -> drivable", "drivable", ("sky", "car"), [255, 255, 0, 1]),
        ("", "car, parking", ("road", "sky"), [0, 255, 1, 255]),
    ],
)
def test_classes_are_merged_and_ignored(root, merge, ignored, classes, numbers):
    before = folder(root)
    after = open_data("folder", root, size=(8, 8), rules=_rules(merge, ignored))
    assert after.classes == classes
    for part in ("train", "validation", "test"):
        for old, new in zip(getattr(before, part), getattr(after, part), strict=True):
            assert np.array_equal(new.mask, np.array([*numbers, *[255] * 252], np.uint8)[old.mask])


def test_patches_are_cut_from_merged_masks(root):
    data = open_data("folder", root, size=(8, 8), rules=_rules("road,parking -> drivable"), patches=PatchPlan(size=4))
    assert max(np.unique(data.train[0].mask[data.train[0].mask < 255])) <= 2


@pytest.mark.parametrize(
    ("merge", "ignored", "message"),
    [
        ("raod -> x", "", r"--merge names 'raod' \(did you mean 'road'\?\); the classes are road, parking, sky, car"),
        ("", "skies", r"--ignore_classes names 'skies'.*; the classes are road"),
        ("road -> a; road -> b", "", r"--merge names the class 'road' twice; give it to one new class"),
        ("road,parking,sky,car -> all", "", r"1 of 4 classes remain; merge or ignore fewer"),
    ],
)
def test_a_rule_that_does_not_fit_the_classes_is_refused(root, merge, ignored, message):
    with pytest.raises(ValueError, match=message):
        _rules(merge, ignored).apply(folder(root))


@pytest.mark.parametrize("merge", ["road,parking", "-> a", "road ->"])
def test_a_rule_that_is_none_is_refused(merge):
    with pytest.raises(ValueError, match=r"merge is '.*'; give classes, an arrow and a new name, e\.g\. 'road,parking"):
        _rules(merge)


def test_a_class_that_two_rules_make_is_refused():
    with pytest.raises(ValueError, match="merge makes 'b' twice; give all its classes in one rule"):
        _rules("road -> b; sky -> b")


def test_options_of_a_folder_are_refused_elsewhere(root):
    with pytest.raises(ValueError, match="data set 'camvid' has masks of its own kind; drop --ignore_value"):
        open_data("camvid", root, size=(8, 8), rules=LabelRules(ignore_value=0))
    with pytest.raises(ValueError, match="the generated data set has its own classes; drop --merge"):
        open_data("scenes", None, size=(8, 8), rules=_rules("ring -> ground"))


def test_images_of_other_channels_keep_them_when_classes_are_merged(root):
    merged = open_data("folder", root, size=(8, 8), rules=_rules("road,parking -> way"), images=ImageReader(channels=1))
    assert merged.train[0].picture.shape[2] == 1
