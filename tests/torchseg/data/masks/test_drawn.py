from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchseg.data.masks.bitmap import RunLengths
from torchseg.data.masks.drawn import Annotation, Outline, draw


def _drawn(*outlines, size=(6, 8)):
    return draw(Annotation(size=size, outlines=outlines), ("background", "car"))


def _rings(*rings, size=(6, 8)):
    return _drawn(Outline(label="car", rings=rings), size=size)


def _rows(mask):
    return ["".join("#" if value else "." for value in row) for row in mask]


def test_a_polygon_of_pixels_covers_its_border_but_not_that_of_its_hole():
    square, hole = [(1, 0), (6, 0), (6, 5), (1, 5)], [(3, 2), (4, 2), (4, 3), (3, 3)]
    assert _rows(_rings(square, hole)) == [
        *(".######.", ".######."),
        *(".##..##.", ".##..##."),
        *(".######.", ".######."),
    ]


def test_slanted_borders_of_a_polygon_of_pixels_are_lines():
    """As `fillPoly` of OpenCV 5.0 draws them, which the tool itself calls."""
    triangle = [(1, 0), (6, 2), (1, 5)]
    assert _rows(_rings(triangle)) == [
        *(".##.....", ".####..."),
        *(".######.", ".#####.."),
        *(".###....", ".#......"),
    ]


@pytest.mark.parametrize("ring", [[(2, 3)], [(2, 3), (2, 3)], [(2, 3), (5, 3)], [(5, 3), (2, 3), (4, 3)]])
def test_a_polygon_of_pixels_may_be_a_point_or_a_line(ring):
    expected = np.zeros((6, 8), np.uint8)
    expected[3, 2 : max(x for x, _ in ring) + 1] = 1
    assert np.array_equal(_rings(ring), expected)


pixels = st.tuples(st.integers(-40, 40), st.integers(-40, 40))


@given(st.lists(pixels, min_size=1, max_size=6), st.integers(-30, 30), st.integers(-30, 30))
def test_a_polygon_of_pixels_moves_with_its_corners_and_is_cut_at_the_image(ring, right, down):
    inside = [(x + 40, y + 40) for x, y in ring]
    whole = _rings(inside, size=(81, 81))
    assert all(whole[y, x] for x, y in inside)
    moved = _rings([(x + right, y + down) for x, y in inside], size=(30, 30))
    expected = np.zeros((30, 30), np.uint8)
    rows, columns = np.nonzero(whole)
    kept = (rows + down >= 0) & (rows + down < 30) & (columns + right >= 0) & (columns + right < 30)
    expected[rows[kept] + down, columns[kept] + right] = 1
    assert np.array_equal(moved, expected)


def test_far_corners_cost_no_more_than_near_ones():
    far = 2**30
    assert _rings([(-far, -far), (far, -far), (far, far), (-far, far)]).all()
    assert not _rings([(far, far), (far - 9, far)]).any()


def _bitmap(corner):
    whole = RunLengths([0, 6], 2, 3, by_column=False)
    return _drawn(Outline(label="car", bitmap=whole, corner=corner))


@pytest.mark.parametrize(
    ("corner", "rows", "columns"),
    [((1, 2), (2, 4), (1, 4)), ((-1, -1), (0, 1), (0, 2)), ((7, 5), (5, 6), (7, 8)), ((6, -1), (0, 1), (6, 8))],
)
def test_a_bitmap_that_stands_out_of_the_image_is_cut(corner, rows, columns):
    expected = np.zeros((6, 8), np.uint8)
    expected[slice(*rows), slice(*columns)] = 1
    assert np.array_equal(_bitmap(corner), expected)


@pytest.mark.parametrize("corner", [(8, 0), (0, 6), (-3, 0), (0, -2), (2**70, 0)])
def test_a_bitmap_outside_the_image_is_refused(corner):
    with pytest.raises(ValueError, match=r"its bitmap begins at -?\d+, -?\d+, outside the image of 6x8; export"):
        _bitmap(corner)
