from __future__ import annotations

import numpy as np
import pytest

from torchseg.metrics import MiouDifference, ResampledCounts, miou_difference, overlap


def resampled(right: list[int], *, pixels: int = 100) -> ResampledCounts:
    """Pictures of two classes with so many pixels of each right."""
    counts = ResampledCounts(2)
    for each in right:
        counts.add(np.array([[[each, pixels - each], [pixels - each, each]]]))
    return counts


def test_the_spread_is_that_of_the_textbook_bootstrap():
    random = np.random.default_rng(0)
    right = random.integers(40, 100, 200).tolist()
    drawn = []
    for _ in range(400):
        mean = np.mean(random.choice(right, 200))
        drawn.append(mean / (200 - mean))  # IoU of either class
    assert resampled(right).miou.std() == pytest.approx(np.std(drawn), rel=0.15)
    assert resampled(right).miou.mean() == pytest.approx(np.mean(drawn), rel=0.01)


def test_mean_iou_of_a_drawn_set_is_that_of_its_matrix():
    counts = ResampledCounts(3)
    counts.add(np.array([[[5, 1, 0], [2, 7, 0], [0, 0, 0]]]))
    expected = overlap(np.array([[5, 1, 0], [2, 7, 0], [0, 0, 0]])).miou
    held = counts.miou[~np.isnan(counts.miou)]  # the sets that do not hold the only picture are empty
    assert 0 < len(held) < len(counts.miou)
    np.testing.assert_allclose(held, expected)


def test_a_file_compared_with_itself_is_the_same_and_surely_so():
    difference = miou_difference(resampled([60, 80]), resampled([60, 80]), value=0.0)
    assert (difference.low, difference.high, difference.verdict) == (0, 0, "same")


def test_a_small_difference_in_every_picture_is_sure_though_pictures_differ_widely():
    right = np.random.default_rng(1).integers(30, 90, 60)
    better = miou_difference(resampled((right + 5).tolist()), resampled(right.tolist()), value=0.05)
    assert better.verdict == "better"
    worse = miou_difference(resampled(right.tolist()), resampled((right + 5).tolist()), value=-0.05)
    assert worse.verdict == "worse"


def test_a_difference_that_is_sure_and_tiny_is_called_the_same():
    assert MiouDifference(value=-0.0004, low=-0.0006, high=-0.0002, pictures=300).verdict == "same"


def test_of_a_few_pictures_nothing_is_said():
    difference = miou_difference(resampled([90] * 19), resampled([50] * 19), value=0.4)
    assert difference.low > 0.3
    assert difference.verdict == "same"


def test_a_difference_that_hangs_on_a_few_pictures_is_called_the_same():
    random = np.random.default_rng(2)
    one, two = random.integers(30, 90, 30), random.integers(30, 90, 30)
    assert miou_difference(resampled(one.tolist()), resampled(two.tolist()), value=0.01).verdict == "same"


def test_without_a_known_pixel_nothing_can_be_said():
    assert miou_difference(resampled([0], pixels=0), resampled([0], pixels=0), value=0.0) is None
