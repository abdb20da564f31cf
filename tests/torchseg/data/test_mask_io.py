from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from torchseg.data.mask_io import read_mask


def test_a_black_and_white_mask_has_the_values_zero_and_one(tmp_path):
    Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1").save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png").tolist() == [[0, 1]]


def test_a_sixteen_bit_mask_is_refused(tmp_path):
    Image.fromarray(np.zeros((2, 2), np.uint16)).save(tmp_path / "mask.png")
    with pytest.raises(ValueError, match=r"mask.png is a I;16 image; a mask must be 8-bit"):
        read_mask(tmp_path / "mask.png")
