from __future__ import annotations

import numpy as np

from torchseg.data import Sample
from torchseg.harness.comparison import comparison
from torchseg.harness.drawing import DIFFERENT, WRONG
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=8, width=8, classes=("a", "b"))
LEFT = np.zeros((40, 40), np.uint8)
LEFT[:, :20] = 1


def count(image, colour):
    return int((np.asarray(image) == np.array(colour)).all(axis=2).sum())


def sample(mask):
    return Sample(name="p", picture=np.full((40, 40, 3), 90, np.uint8), mask=mask)


def test_with_truth_wrong_pixels_show_and_ignored_ones_do_not():
    mask = LEFT.copy()
    assert count(comparison(sample(mask), {"right": LEFT}, SPEC), WRONG) == 0
    mask[:, :20] = 0
    wrong = count(comparison(sample(mask), {"one": LEFT}, SPEC), WRONG)
    mask[:, :10] = 255
    assert 0 < count(comparison(sample(mask), {"one": LEFT}, SPEC), WRONG) < 0.6 * wrong


def test_several_models_show_where_they_differ_from_the_first():
    unknown = np.full((40, 40), 255, np.uint8)
    alike = comparison(sample(unknown), {"one": LEFT, "two": LEFT.copy()}, SPEC)
    other = comparison(sample(unknown), {"one": LEFT, "two": 1 - LEFT}, SPEC)
    assert count(alike, DIFFERENT) == 0
    assert count(other, DIFFERENT) > 100_000  # the whole panel
    assert count(other, WRONG) == 0  # nothing is known about the truth


def test_without_truth_all_panels_stand_in_one_row():
    unknown = np.full((40, 40), 255, np.uint8)
    one_row = comparison(sample(unknown), {"one": LEFT, "two": LEFT}, SPEC)
    two_rows = comparison(sample(LEFT), {"one": LEFT, "two": LEFT}, SPEC)
    assert one_row.height < 0.6 * two_rows.height
