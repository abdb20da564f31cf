from __future__ import annotations

import numpy as np
import pytest

from torchseg.modelfile.layout import from_layout, layout_of, to_layout, to_pixels


@pytest.mark.parametrize(
    ("shape", "usual", "expected"),
    [
        ((1, 3, 128, 96), "NHWC", "NCHW"),
        ((1, 128, 96, 3), "NCHW", "NHWC"),
        ((None, 3, None, None), "NHWC", "NCHW"),
        ((1, 3, 128, 3), "NHWC", "NHWC"),  # three pixels wide or channels last: the shape cannot tell
        ((1, 12, 128, 96), "NCHW", "NCHW"),
    ],
)
def test_the_channels_are_where_a_picture_has_few_of_them(shape, usual, expected):
    assert layout_of(shape, usual=usual) == expected


def test_an_input_that_is_no_picture_is_refused():
    with pytest.raises(ValueError, match=r"shape \[1, 10\]; a network for images takes four sides"):
        layout_of((1, 10), usual="NCHW")


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_to_and_from_a_layout_is_the_way_there_and_back(layout):
    images = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(from_layout(to_layout(images, layout), layout), images)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_classes_become_logits_of_one_and_zero(layout):
    classes = np.array([[[0, 2], [1, 0]]], np.float32)
    logits = from_layout(classes, layout, classes=4)
    assert logits.shape == (1, 4, 2, 2)
    np.testing.assert_array_equal(logits.argmax(axis=1), classes)
    np.testing.assert_array_equal(logits.sum(axis=1), 1)
    assert from_layout(classes, layout).shape == (1, 3, 2, 2)


@pytest.mark.parametrize("value", [0.5, -1, np.nan])
def test_numbers_that_are_no_classes_are_not_taken_for_them(value):
    with pytest.raises(
        ValueError, match=r"one number per pixel that is not a class; export its logits as \(B, K, H, W\)"
    ):
        from_layout(np.array([[[0, value]]], np.float32), "NCHW", classes=2)


def test_pixels_are_whole_numbers_from_0_to_255():
    assert to_pixels(np.array([-3.0, 0.4, 254.7, 300.0], np.float32)).tolist() == [0, 0, 255, 255]
