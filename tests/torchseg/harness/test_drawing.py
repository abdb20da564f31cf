from __future__ import annotations

import numpy as np

from torchseg.harness.drawing import WRONG, Panel, indexed, marked, overlay, sheet
from torchseg.harness.palette import palette

PICTURE = np.full((40, 60, 3), 100, np.uint8)


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
