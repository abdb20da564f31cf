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


def test_masks_of_the_transfer_part_are_withheld():
    assert set(np.unique(Scenes("transfer", height=32, width=32)[0].mask)) == {255}


def test_an_index_past_the_end_is_refused():
    with pytest.raises(IndexError, match="picture 2 of 2"):
        Scenes("test", height=32, width=32, length=2)[2]
