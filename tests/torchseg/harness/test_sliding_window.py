from __future__ import annotations

import numpy as np
import pytest

from torchseg.harness.sliding_window import by_resizing, by_tiles
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=16, width=24, classes=("dark", "bright"), mean=(0.5,) * 3, std=(0.1,) * 3)


def brightness(images):
    """A network that knows each pixel by itself: what it says cannot depend on the tile."""
    mean = images.mean(axis=1, keepdims=True)
    return np.concatenate([-mean, mean], axis=1)


def halves(height, width):
    """Dark on the left, bright on the right."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, width // 2 :] = 255
    return picture


@pytest.mark.parametrize("segment", [by_resizing, by_tiles])
@pytest.mark.parametrize(("height", "width"), [(16, 24), (64, 96), (7, 11), (100, 9), (17, 25), (1, 1)])
def test_a_mask_has_the_size_of_its_picture(segment, height, width):
    labels = segment(brightness, halves(height, width), SPEC)
    assert labels.shape == (height, width)
    assert labels.dtype == np.uint8


@pytest.mark.parametrize("segment", [by_resizing, by_tiles])
def test_at_the_networks_own_size_nothing_is_changed(segment):
    picture = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    expected = brightness(SPEC.prepare(picture[None]))[0].argmax(axis=0)
    np.testing.assert_array_equal(segment(brightness, picture, SPEC), expected)


def test_tiles_see_every_pixel_at_its_own_scale():
    picture = np.random.default_rng(1).integers(0, 256, (50, 61, 3), dtype=np.uint8)
    expected = picture.mean(axis=2) > 127.5
    np.testing.assert_array_equal(by_tiles(brightness, picture, SPEC), expected)


def test_a_straight_edge_stays_straight_when_the_picture_is_resized():
    labels = by_resizing(brightness, halves(80, 120), SPEC)
    assert (labels == (np.arange(120) >= 60)).all()


def test_where_tiles_disagree_the_one_that_sees_more_around_the_pixel_wins():
    def left_half(images):
        """Claims the left half of whatever it is shown."""
        scores = np.zeros((len(images), 2, 16, 24), np.float32)
        scores[:, 1, :, :12] = 4
        scores[:, 0, :, 12:] = 4
        return scores

    labels = by_tiles(left_half, halves(16, 42), SPEC)  # tiles at 0 and 18, six pixels in common
    assert labels[0].tolist() == [1] * 12 + [0] * 9 + [1] * 9 + [0] * 12
