from __future__ import annotations

import numpy as np
import pytest

from torchseg.data import UnmaskedSamples
from torchseg.data.datasets.scenes import Scenes


def test_hidden_masks_ignore_every_pixel_and_images_stay_as_they_are():
    samples = Scenes("train", height=16, width=24, length=3)
    hidden = UnmaskedSamples(samples, ignore_index=255)
    assert len(hidden) == 3
    for index in range(3):
        assert np.array_equal(hidden[index].picture, samples[index].picture)
        assert hidden[index].name == samples[index].name
        assert hidden[index].mask.dtype == np.uint8
        assert hidden[index].mask.shape == (16, 24)
        assert (hidden[index].mask == 255).all()
    assert not (samples[0].mask == 255).all()  # which are not written over


def test_an_index_past_the_end_is_refused():
    with pytest.raises(IndexError, match="image 3 of 3"):
        UnmaskedSamples(Scenes("train", height=16, width=16, length=3), ignore_index=255)[3]
