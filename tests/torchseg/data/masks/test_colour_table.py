from __future__ import annotations

import numpy as np
import pytest

from torchseg.data.masks.colour_table import ColourTable

TABLE = ColourTable({0x010203: 4, 0xFFFFFF: 255}, source="the list")


def test_each_colour_becomes_its_class():
    stored = np.array([[[1, 2, 3], [255, 255, 255]]], np.uint8)
    assert TABLE.decode(stored).tolist() == [[4, 255]]


def test_a_colour_that_stands_for_nothing_is_named():
    with pytest.raises(ValueError, match="it holds the colour 030201, which the list does not name"):
        TABLE.decode(np.array([[[3, 2, 1]]], np.uint8))


def test_a_mask_without_colours_is_refused():
    with pytest.raises(ValueError, match="expected colours"):
        TABLE.decode(np.zeros((2, 2), np.uint8))
