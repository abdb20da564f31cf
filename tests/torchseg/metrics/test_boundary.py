from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchseg.metrics import boundary_counts


def square(offset: int) -> np.ndarray:
    mask = np.zeros((50, 50), np.uint8)
    mask[10 + offset : 40 + offset, 10:40] = 1
    return mask


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31))
def test_a_perfect_prediction_scores_one_and_every_score_is_a_share(seed):
    random = np.random.default_rng(seed)
    mask = random.choice(np.array([0, 1, 2, 255], np.uint8), (9, 12))
    labels = random.integers(0, 3, (9, 12)).astype(np.uint8)
    perfect = boundary_counts(np.where(mask == 255, 0, mask), mask, num_classes=3)
    assert perfect.miou == 1
    assert 0 <= boundary_counts(labels, mask, num_classes=3).miou <= 1


def test_the_band_is_as_wide_as_the_source_says():
    # 2 % of the diagonal of 50x50 is 1.4, so one pixel: the ring of a 30x30 square.
    counts = boundary_counts(square(0), square(0), num_classes=2)
    assert counts.truth[1] == 30**2 - 28**2


@pytest.mark.parametrize("seed", range(10))
def test_the_band_is_what_erosion_takes_away(seed):
    ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy, the other implementation, is not installed")
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 3, (6, 8))
    mask = np.kron(coarse, np.ones((20, 15), int)).astype(np.uint8)
    counts = boundary_counts(mask, mask, num_classes=3)
    width = max(1, round(0.02 * float(np.hypot(*mask.shape))))
    for index in range(3):
        inside = mask == index
        core = ndimage.binary_erosion(inside, np.ones((3, 3)), iterations=width)
        assert counts.truth[index] == (inside & ~core).sum()


def counted_class_by_class(labels: np.ndarray, mask: np.ndarray, *, num_classes: int) -> list[list[int]]:
    """What the source writes down, literally: the band of a class is what shrinking its region takes away."""
    width = max(1, round(0.02 * float(np.hypot(*mask.shape))))
    window = (2 * width + 1, 2 * width + 1)
    known = mask < num_classes
    both, either, truth = [], [], []
    for index in range(num_classes):
        bands = []
        for inside in (np.where(known, mask, labels) == index, labels == index):
            views = np.lib.stride_tricks.sliding_window_view(np.pad(inside, width), window)
            bands.append(inside & ~views.all(axis=(2, 3)) & known)
        both.append(int((bands[0] & bands[1]).sum()))
        either.append(int((bands[0] | bands[1]).sum()))
        truth.append(int(bands[0].sum()))
    return [both, either, truth]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.integers(1, 6))
def test_one_look_at_all_classes_counts_what_a_look_at_each_does(seed, classes):
    random = np.random.default_rng(seed)
    sides = random.integers(3, 40, 2)
    size = random.integers(1, 200)  # wide pictures have wide bands
    masks = np.kron(random.integers(0, classes, (2, *sides)), np.ones((1, 1, 1 + size // 20), int)).astype(np.uint8)
    labels = np.where(random.random(masks.shape) < 0.1, random.integers(0, classes, masks.shape), masks)
    masks[random.random(masks.shape) < 0.05] = 255
    labels = np.where(masks == 255, random.choice([0, 77], masks.shape), labels).astype(np.uint8)
    found = boundary_counts(labels, masks, num_classes=classes)
    expected = np.sum(
        [counted_class_by_class(*each, num_classes=classes) for each in zip(labels, masks, strict=True)], axis=0
    )
    np.testing.assert_array_equal([found.both, found.either, found.truth], expected)


def test_a_shift_costs_more_near_the_boundary_than_over_the_area():
    moved = boundary_counts(square(1), square(0), num_classes=2)
    area = np.logical_and(square(1), square(0)).sum() / np.logical_or(square(1), square(0)).sum()
    assert moved.both[1] / moved.either[1] < 0.6 < area


def test_ignored_pixels_make_no_contour_and_count_nowhere():
    mask = square(0)
    mask[20:30, 20:30] = 255
    counts = boundary_counts(square(0), mask, num_classes=2)
    assert counts.truth[1] == 30**2 - 28**2
    assert counts.miou == 1
    nothing = boundary_counts(square(0), np.full((50, 50), 255, np.uint8), num_classes=2)
    assert np.isnan(nothing.miou)


def test_counts_of_pictures_add_up():
    once = boundary_counts(square(1), square(0), num_classes=2)
    twice = once + once
    assert (twice.both == 2 * once.both).all()
    assert twice.miou == once.miou


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"labels are \(2, 2\) and the mask is \(2, 3\)"):
        boundary_counts(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8), num_classes=2)
