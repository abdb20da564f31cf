from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from torchseg.data.masks.io import read_colours, read_header, read_mask

VALUES = np.array([[0, 1], [2, 255]], np.uint8)


def test_a_black_and_white_mask_has_the_values_zero_and_one(tmp_path):
    Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1").save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png").tolist() == [[0, 1]]


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(VALUES),
        Image.fromarray(VALUES.astype(np.uint16)),
        Image.fromarray(VALUES).convert("RGB"),
        Image.fromarray(VALUES).convert("LA"),
        Image.fromarray(VALUES).convert("RGBA"),
    ],
    ids=lambda image: image.mode,
)
def test_the_same_values_are_read_from_any_kind_of_grey_file(tmp_path, image):
    image.save(tmp_path / "mask.png")
    assert np.array_equal(read_mask(tmp_path / "mask.png"), VALUES)
    assert np.array_equal(read_colours(tmp_path / "mask.png"), np.dstack([VALUES] * 3))


def test_a_deep_mask_with_a_value_that_is_no_class_is_refused(tmp_path):
    Image.fromarray(np.full((2, 2), 1000, np.uint16)).save(tmp_path / "mask.png")
    with pytest.raises(
        ValueError, match=r"mask.png has more than 8 bits and holds the value 1000; the values of a mask"
    ):
        read_mask(tmp_path / "mask.png")


def test_a_mask_for_printing_is_refused(tmp_path):
    Image.new("CMYK", (2, 2)).save(tmp_path / "mask.tif")
    with pytest.raises(
        ValueError, match=r"mask.tif is a CMYK image; a mask must be grey, indexed or RGB: save it as PNG"
    ):
        read_mask(tmp_path / "mask.tif")


def test_transparent_pixels_are_black(tmp_path):
    stored = np.array([[[9, 8, 7, 255], [1, 2, 3, 0]]], np.uint8)
    Image.fromarray(stored).save(tmp_path / "mask.png")
    assert read_colours(tmp_path / "mask.png").tolist() == [[[9, 8, 7], [0, 0, 0]]]


def test_pixels_of_several_transparencies_are_refused(tmp_path):
    stored = np.array([[[9, 8, 7, 255], [1, 2, 3, 100]]], np.uint8)
    Image.fromarray(stored).save(tmp_path / "mask.png")
    with pytest.raises(ValueError, match="has pixels of more than one transparency, whose class cannot be told"):
        read_colours(tmp_path / "mask.png")


def test_the_header_tells_size_and_palette(tmp_path):
    image = Image.fromarray(VALUES, "P")
    image.putpalette([0, 0, 0, 9, 8, 7])
    image.save(tmp_path / "mask.png")
    header = read_header(tmp_path / "mask.png")
    assert (header.size, header.mode, header.is_grey) == ((2, 2), "P", False)
    assert header.palette[:2].tolist() == [[0, 0, 0], [9, 8, 7]]
    Image.fromarray(VALUES).save(tmp_path / "grey.png")
    assert read_header(tmp_path / "grey.png").is_grey
