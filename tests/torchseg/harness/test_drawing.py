from __future__ import annotations

import numpy as np

from torchseg.data import Sample
from torchseg.harness.drawing import DIFFERENT, WRONG, Panel, comparison, indexed, marked, overlay, palette, sheet
from torchseg.spec import ImageSpec

PICTURE = np.full((40, 60, 3), 100, np.uint8)

SPEC = ImageSpec(height=8, width=8, classes=("a", "b"))
LEFT = np.zeros((40, 40), np.uint8)
LEFT[:, :20] = 1


def test_an_overlay_mixes_colours_and_draws_borders_in_full():
    labels = np.zeros((40, 60), np.uint8)
    labels[:, 30:] = 1
    painted = overlay(PICTURE, labels)
    assert painted.shape == PICTURE.shape
    np.testing.assert_array_equal(painted[0, 29], palette()[0])  # the last pixel before the border
    np.testing.assert_array_equal(painted[0, 40], (palette()[1].astype(int) + 100) // 2)


def test_marked_pixels_have_the_colour_and_the_others_are_grey():
    where = np.zeros((40, 60), bool)
    where[3, 4] = True
    picture = marked(PICTURE, where, WRONG)
    assert tuple(picture[3, 4]) == WRONG
    assert len(set(picture[0, 0].tolist())) == 1


def test_an_indexed_mask_holds_the_classes_themselves():
    labels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    np.testing.assert_array_equal(np.asarray(indexed(labels)), labels)


def test_a_sheet_has_room_for_every_panel_and_leaves_empty_places_white():
    panel = Panel(picture=PICTURE, title="a name that is far too long for the room that it has " * 3, note="note")
    image = np.asarray(sheet([[panel, panel, panel], [panel, None]], ["sky", "road"]))
    assert image.shape[1] > 3 * 360
    half = image.shape[0] // 2
    assert (image[half + 50 : half + 150, 400:700] == 255).all()
    assert not (image[50:150, 400:700] == 255).all()


def test_many_classes_end_in_dots():
    names = [f"class number {number}" for number in range(200)]
    assert sheet([[Panel(picture=PICTURE, title="one")]], names).width < 400


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
