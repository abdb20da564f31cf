from __future__ import annotations

import numpy as np
import pytest

from torchseg.data.datasets.scenes import CLASSES, Scenes, scenes


def test_a_picture_depends_on_part_and_index_alone():
    first, again = Scenes("train", height=32, width=48)[3], Scenes("train", height=32, width=48)[3]
    assert np.array_equal(first.picture, again.picture)
    assert np.array_equal(first.mask, again.mask)
    assert first.picture.shape == (32, 48, 3)
    assert first.picture.dtype == first.mask.dtype == np.uint8


def test_parts_are_disjoint():
    data = scenes(32, 32)
    seen = [part[index].picture.tobytes() for part in (data.train, data.validation, data.test) for index in range(20)]
    assert len(set(seen)) == 60


def test_every_class_and_the_ignored_rim_occur():
    values = set()
    for sample in Scenes("train", height=64, width=64, length=40):
        values |= set(np.unique(sample.mask).tolist())
    assert values == {*range(len(CLASSES)), 255}


def test_half_of_the_pictures_have_a_ring_that_can_be_seen():
    """A class that few pictures have, or of few pixels, makes the score of a network a matter of chance."""
    ring = CLASSES.index("ring")
    pixels = [int((sample.mask == ring).sum()) for sample in Scenes("test", height=64, width=64, length=200)]
    shown = [each for each in pixels if each]
    assert 0.4 < len(shown) / len(pixels) < 0.6
    assert np.median(shown) > 60


def test_every_part_has_pictures_enough_and_labels_are_few():
    data = scenes(16, 16)
    assert [len(part) for part in (data.train, data.validation, data.test, data.transfer)] == [32, 64, 256, 640]


def test_masks_of_the_transfer_part_are_withheld():
    assert set(np.unique(Scenes("transfer", height=32, width=32)[0].mask)) == {255}


def test_an_index_past_the_end_is_refused():
    with pytest.raises(IndexError, match="image 2 of 2"):
        Scenes("test", height=32, width=32, length=2)[2]
