from __future__ import annotations

import numpy as np
import pytest

from torchseg.data.masks.value_table import ValueTable

TABLE = ValueTable({0: 0, 24: 1, 255: 255}, names=("road", "car"), source="classes.txt", ignored=3)


def test_each_value_becomes_its_class():
    assert TABLE.decode(np.array([[0, 24, 255, 3]], np.uint8)).tolist() == [[0, 1, 255, 255]]


def test_a_value_that_stands_for_nothing_is_named():
    with pytest.raises(
        ValueError, match="it holds the value 7, but the classes are 0 road, 24 car and 3, 255 is ignored"
    ):
        TABLE.decode(np.array([[7]], np.uint8))


def test_a_coloured_mask_is_refused():
    with pytest.raises(ValueError, match=r"it is coloured, but classes.txt gives no colours; write lines like"):
        TABLE.decode(np.zeros((2, 2, 3), np.uint8))
