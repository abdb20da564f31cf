from __future__ import annotations

import numpy as np
import pytest

from torchseg.modelfile.layout import layout_of, to_layout, to_pixels


@pytest.mark.parametrize(
    ("shape", "usual", "expected"),
    [
        ((1, 3, 128, 96), "NHWC", "NCHW"),
        ((1, 128, 96, 3), "NCHW", "NHWC"),
        ((None, 3, None, None), "NHWC", "NCHW"),
        ((1, 3, 128, 3), "NHWC", "NHWC"),  # three pixels wide or channels last: the shape cannot tell
        ((1, 12, 128, 96), "NCHW", "NCHW"),
        ((1, 128, 96, 13), "NCHW", "NHWC"),  # bands of a satellite
        ((None, 13, None, None), "NHWC", "NCHW"),
        ((1, 64, 64, 64), "NCHW", "NCHW"),
    ],
)
def test_the_channels_are_where_a_picture_has_few_of_them(shape, usual, expected):
    assert layout_of(shape, usual=usual) == expected


def test_an_input_that_is_no_picture_is_refused():
    with pytest.raises(ValueError, match=r"shape \[1, 10\]; a network for images takes four sides"):
        layout_of((1, 10), usual="NCHW")


def test_a_channels_last_file_gets_the_channels_last():
    images = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(to_layout(images, "NCHW"), images)
    np.testing.assert_array_equal(to_layout(images, "NHWC")[1, 2, 3], images[1, :, 2, 3])


def test_pixels_are_whole_numbers_from_0_to_255():
    assert to_pixels(np.array([-3.0, 0.4, 254.7, 300.0], np.float32)).tolist() == [0, 0, 255, 255]
